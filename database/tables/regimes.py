"""Market regime of each session, by detector."""

from datetime import date
from typing import Any

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt

LABELS = ("bull", "bear", "high_volatility", "low_volatility", "sideways")
_ALLOWED = ", ".join(f"'{label}'" for label in LABELS)


class Regime(Base):
    """`label` is the smoothed one that the platform acts on, `raw_label` the day's own; `drivers` the inputs."""

    __tablename__ = "regimes"
    __table_args__ = (
        CheckConstraint(f"label in ({_ALLOWED})", name="label"),
        CheckConstraint(f"raw_label in ({_ALLOWED})", name="raw_label"),
    )

    session_on: Mapped[date] = mapped_column(primary_key=True)
    detector: Mapped[str] = mapped_column(String(32), primary_key=True)
    label: Mapped[str] = mapped_column(String(16))
    raw_label: Mapped[str] = mapped_column(String(16))
    probabilities: Mapped[dict[str, Any]]
    drivers: Mapped[dict[str, Any]]
    detector_version: Mapped[str] = mapped_column(String(64))
    data_vintage: Mapped[dict[str, Any]]
    created_at: Mapped[CreatedAt]
