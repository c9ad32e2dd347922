"""Who was a member of an index, from when to when."""

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base


class IndexMembership(Base):
    """One spell: member on `start_on`, no longer member on `end_on` (null: still a member)."""

    __tablename__ = "index_memberships"
    __table_args__ = (
        CheckConstraint("end_on is null or end_on > start_on", name="spell"),
        Index("ix_index_memberships_start_on_end_on", "index_name", "start_on", "end_on"),
    )

    index_name: Mapped[str] = mapped_column(String(16), primary_key=True)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.instrument_id"), primary_key=True)
    start_on: Mapped[date] = mapped_column(primary_key=True)
    end_on: Mapped[date | None]
