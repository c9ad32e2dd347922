"""Which strategy each night chose, and what each account should therefore hold."""

from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Fraction, Id


class StrategyChoice(Base):
    """The meta-model's pick for a session; `evidence` holds each strategy's availability and recent performance."""

    __tablename__ = "strategy_choices"

    session_on: Mapped[date] = mapped_column(primary_key=True)
    strategy: Mapped[str] = mapped_column(String(32))
    regime: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]]
    created_at: Mapped[CreatedAt]


class Target(Base):
    """What one account should hold after this session: an allocation under the account's mandate."""

    __tablename__ = "targets"
    __table_args__ = (
        CheckConstraint("cash_weight between 0 and 1", name="cash_weight"),
        UniqueConstraint("account_id", "session_on"),
    )

    target_id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.account_id"))
    session_on: Mapped[date]
    strategy: Mapped[str] = mapped_column(String(32))
    reason: Mapped[str] = mapped_column(Text)
    allocation_id: Mapped[int] = mapped_column(ForeignKey("allocations.allocation_id"), index=True)
    mandate_id: Mapped[int] = mapped_column(ForeignKey("mandates.mandate_id"), index=True)
    cash_weight: Mapped[Fraction]
    adjustments: Mapped[list[Any]]
    created_at: Mapped[CreatedAt]


class TargetWeight(Base):
    """Weight of one stock in an account's target; with the cash weight they sum to one."""

    __tablename__ = "target_weights"
    __table_args__ = (
        CheckConstraint("weight > 0 and weight <= 1", name="weight"),
        Index("ix_target_weights_instrument_id", "instrument_id"),
    )

    target_id: Mapped[int] = mapped_column(ForeignKey("targets.target_id", ondelete="CASCADE"), primary_key=True)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.instrument_id"), primary_key=True)
    weight: Mapped[Decimal] = mapped_column(Numeric(12, 8))
