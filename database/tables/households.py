"""Households, their people, and the advisors they are assigned to."""

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class Household(Base):
    """People who are advised together."""

    __tablename__ = "households"

    household_id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(200), unique=True)
    created_at: Mapped[CreatedAt]


class Client(Base):
    """A person whose money is managed."""

    __tablename__ = "clients"
    __table_args__ = (
        CheckConstraint("risk_tolerance in ('conservative', 'balanced', 'growth')", name="risk_tolerance"),
    )

    client_id: Mapped[Id]
    household_id: Mapped[int] = mapped_column(ForeignKey("households.household_id"), index=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    email: Mapped[str | None] = mapped_column(String(254))
    risk_tolerance: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[CreatedAt]


class AdvisorAssignment(Base):
    """Which advisor looks after which client, from when to when."""

    __tablename__ = "advisor_assignments"
    __table_args__ = (CheckConstraint("end_on is null or end_on > start_on", name="spell"),)

    advisor_id: Mapped[int] = mapped_column(ForeignKey("users.user_id"), primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.client_id"), primary_key=True, index=True)
    start_on: Mapped[date] = mapped_column(primary_key=True)
    end_on: Mapped[date | None]
