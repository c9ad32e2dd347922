"""Households, their people, and the advisors they are assigned to."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class Household(Base):
    """People who are advised together. Two families may bear one name: names are not unique."""

    __tablename__ = "households"
    __table_args__ = (Index("ix_households_name", "name"),)

    household_id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(200))
    note: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.user_id"), index=True)
    created_at: Mapped[CreatedAt]
    archived_at: Mapped[datetime | None]


class Client(Base):
    """A person whose money is managed."""

    __tablename__ = "clients"
    __table_args__ = (
        CheckConstraint("risk_tolerance in ('conservative', 'balanced', 'growth')", name="risk_tolerance"),
        UniqueConstraint("household_id", "name"),
        Index("ix_clients_name", "name"),
    )

    client_id: Mapped[Id]
    household_id: Mapped[int] = mapped_column(ForeignKey("households.household_id"))
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(254))
    phone: Mapped[str | None] = mapped_column(String(40))
    note: Mapped[str | None] = mapped_column(Text)
    risk_tolerance: Mapped[str] = mapped_column(String(16))
    reviewed_on: Mapped[date | None]
    created_at: Mapped[CreatedAt]
    archived_at: Mapped[datetime | None]


class AdvisorAssignment(Base):
    """Which advisor looks after which client, from when to when."""

    __tablename__ = "advisor_assignments"
    __table_args__ = (CheckConstraint("end_on is null or end_on > start_on", name="spell"),)

    advisor_id: Mapped[int] = mapped_column(ForeignKey("users.user_id"), primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.client_id"), primary_key=True, index=True)
    start_on: Mapped[date] = mapped_column(primary_key=True)
    end_on: Mapped[date | None]
