"""Every configuration that was ever tried, and what it earned on sessions that it had not seen."""

from datetime import date
from typing import Any

from sqlalchemy import CheckConstraint, Date, ForeignKey, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class Trial(Base):
    """One configuration of one strategy's model: what the deflated Sharpe ratio counts. Nothing takes a trial back."""

    __tablename__ = "trials"
    __table_args__ = (
        CheckConstraint("kind in ('screener', 'allocator')", name="kind"),
        CheckConstraint("source in ('training', 'tuning', 'tracking')", name="source"),
        UniqueConstraint("kind", "strategy", "configuration_hash"),
    )

    trial_id: Mapped[Id]
    kind: Mapped[str] = mapped_column(String(16))
    strategy: Mapped[str] = mapped_column(String(32))
    source: Mapped[str] = mapped_column(String(16))
    configuration_hash: Mapped[str] = mapped_column(String(64))
    configuration: Mapped[dict[str, Any]]
    created_at: Mapped[CreatedAt]


class TrialReturns(Base):
    """Daily simple returns of one series of a trial in one out-of-sample year, net of costs.

    Series: `model`; `model_costs_doubled`; the baselines that it must beat, by name; `seed-<n>` for each seed.
    """

    __tablename__ = "trial_returns"
    __table_args__ = (
        CheckConstraint("cardinality(sessions) = cardinality(returns)", name="parallel"),
        CheckConstraint("cardinality(sessions) > 0", name="not_empty"),
    )

    trial_id: Mapped[int] = mapped_column(ForeignKey("trials.trial_id"), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True)
    series: Mapped[str] = mapped_column(String(48), primary_key=True)
    sessions: Mapped[list[date]] = mapped_column(ARRAY(Date))
    returns: Mapped[list[float]] = mapped_column(ARRAY(DOUBLE_PRECISION))
    created_at: Mapped[CreatedAt]
