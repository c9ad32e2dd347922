"""Facts of company reports with the date on which they became known."""

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base


class Fundamental(Base):
    """One reported item of one fiscal period (`annual`). A restatement is a second row with a later `known_on`."""

    __tablename__ = "fundamentals"
    __table_args__ = (
        CheckConstraint("known_on > period_end_on", name="known_after_period"),
        Index("ix_fundamentals_known_on", "known_on"),
    )

    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.instrument_id"), primary_key=True)
    item: Mapped[str] = mapped_column(String(64), primary_key=True)
    period_end_on: Mapped[date] = mapped_column(primary_key=True)
    known_on: Mapped[date] = mapped_column(primary_key=True)
    value: Mapped[float] = mapped_column(DOUBLE_PRECISION)
    source: Mapped[str] = mapped_column(String(64))
