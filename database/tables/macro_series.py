"""Market-wide series: VIX, Treasury yields, indices, sector funds."""

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base


class MacroSeries(Base):
    """One series: what it is, in what unit, from whom."""

    __tablename__ = "macro_series"

    series: Mapped[str] = mapped_column(String(16), primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    unit: Mapped[str] = mapped_column(String(32))
    source: Mapped[str] = mapped_column(String(64))


class MacroObservation(Base):
    """One value; `known_on` is the first session on whose evening it could be used."""

    __tablename__ = "macro_observations"
    __table_args__ = (
        CheckConstraint("known_on >= observed_on", name="known_after_observed"),
        Index("ix_macro_observations_known_on", "known_on"),
    )

    series: Mapped[str] = mapped_column(ForeignKey("macro_series.series"), primary_key=True)
    observed_on: Mapped[date] = mapped_column(primary_key=True)
    known_on: Mapped[date]
    value: Mapped[float] = mapped_column(DOUBLE_PRECISION)
