"""Model weights of each strategy and session, before any client's mandate."""

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Fraction, Id


class Allocation(Base):
    """The weights chosen for one strategy on one session, by which allocator and why that one.

    `lane` is `served` for what clients get; the other lanes run beside it (see `shadow`).
    """

    __tablename__ = "allocations"
    __table_args__ = (
        CheckConstraint("cash_weight between 0 and 1", name="cash_weight"),
        CheckConstraint("lane in ('served', 'plain', 'screener', 'allocator')", name="lane"),
        UniqueConstraint("session_on", "strategy", "lane"),
    )

    allocation_id: Mapped[Id]
    session_on: Mapped[date]
    strategy: Mapped[str] = mapped_column(String(32))
    lane: Mapped[str] = mapped_column(String(16), server_default="served")
    allocator: Mapped[str] = mapped_column(String(32))
    reason: Mapped[str] = mapped_column(Text)
    model_version_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.model_version_id"), index=True)
    score_batch_id: Mapped[int] = mapped_column(ForeignKey("score_batches.score_batch_id"), index=True)
    regime: Mapped[str] = mapped_column(String(16))
    cash_weight: Mapped[Fraction]
    diagnostics: Mapped[dict[str, Any]]
    created_at: Mapped[CreatedAt]


class AllocationWeight(Base):
    """Weight of one stock; with the cash weight they sum to one."""

    __tablename__ = "allocation_weights"
    __table_args__ = (
        CheckConstraint("weight > 0 and weight <= 1", name="weight"),
        Index("ix_allocation_weights_instrument_id", "instrument_id"),
    )

    allocation_id: Mapped[int] = mapped_column(
        ForeignKey("allocations.allocation_id", ondelete="CASCADE"), primary_key=True
    )
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.instrument_id"), primary_key=True)
    weight: Mapped[Decimal] = mapped_column(Numeric(12, 8))
