"""Recommendations, the rules that judged them, orders and their timeline."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Fraction, Id, PriceUsd, Shares

STATES = (
    "planned",
    "intent",
    "sending",
    "accepted",
    "partial",
    "filled",
    "canceled",
    "rejected",
    "expired",
    "unknown",
    "external",
)
_STATES = ", ".join(f"'{state}'" for state in STATES)


class Recommendation(Base):
    """A proposed trade with its reason; refused ones stay, with the rules that refused them.

    `proposed_quantity` is what the night proposed, where a person has set another `quantity` since. A proposal made
    in its own time is void from `expires_at` on, the open that it was made for; without one only the book's next night
    makes it void.
    """

    __tablename__ = "recommendations"
    __table_args__ = (
        CheckConstraint("side in ('buy', 'sell')", name="side"),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("status in ('proposed', 'refused', 'approved', 'rejected', 'expired')", name="status"),
        UniqueConstraint("target_id", "instrument_id"),
        Index("ix_recommendations_account_id_status", "account_id", "status"),
        Index("ix_recommendations_instrument_id", "instrument_id"),
        Index("ix_recommendations_proposed", "expires_at", postgresql_where="status = 'proposed'"),
    )

    recommendation_id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.account_id"))
    target_id: Mapped[int] = mapped_column(ForeignKey("targets.target_id"))
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.instrument_id"))
    session_on: Mapped[date]
    side: Mapped[str] = mapped_column(String(4))
    quantity: Mapped[Shares]
    reference_price: Mapped[PriceUsd]
    weight_before: Mapped[Fraction]
    weight_after: Mapped[Fraction]
    status: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    proposed_quantity: Mapped[Decimal | None] = mapped_column(Numeric(20, 6))
    decided_by: Mapped[str | None] = mapped_column(String(254))
    decided_at: Mapped[datetime | None]
    decision_note: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


class PretradeCheck(Base):
    """One rule's verdict on one recommendation: what was measured against which limit."""

    __tablename__ = "pretrade_checks"

    recommendation_id: Mapped[int] = mapped_column(
        ForeignKey("recommendations.recommendation_id", ondelete="CASCADE"), primary_key=True
    )
    rule: Mapped[str] = mapped_column(String(32), primary_key=True)
    passed: Mapped[bool]
    measured: Mapped[str] = mapped_column(String(64))
    allowed: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)


class Order(Base):
    """An order to a broker. `client_order_id` is a hash of account, plan, leg and attempt: never a fresh random."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("side in ('buy', 'sell')", name="side"),
        CheckConstraint(f"state in ({_STATES})", name="state"),
        CheckConstraint("quantity > 0 and filled_quantity between 0 and quantity", name="quantity"),
        Index("ix_orders_account_id_session_on", "account_id", "session_on"),
        Index("ix_orders_instrument_id", "instrument_id"),
        Index(
            "ix_orders_open",
            "account_id",
            postgresql_where="state in ('planned', 'intent', 'sending', 'accepted', 'partial', 'unknown')",
        ),
    )

    order_id: Mapped[Id]
    client_order_id: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.account_id"))
    recommendation_id: Mapped[int | None] = mapped_column(ForeignKey("recommendations.recommendation_id"), unique=True)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.instrument_id"))
    session_on: Mapped[date]
    side: Mapped[str] = mapped_column(String(4))
    quantity: Mapped[Shares]
    filled_quantity: Mapped[Decimal] = mapped_column(Numeric(20, 6), server_default="0")
    state: Mapped[str] = mapped_column(String(16))
    broker: Mapped[str] = mapped_column(String(16))
    broker_order_id: Mapped[str | None] = mapped_column(String(64))
    cancel_asked_by: Mapped[str | None] = mapped_column(String(254))
    cancel_asked_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    changed_at: Mapped[CreatedAt]


class OrderEvent(Base):
    """One move of an order through its state table, with the evidence as it came. Append-only."""

    __tablename__ = "order_events"
    __table_args__ = (Index("ix_order_events_order_id", "order_id"),)

    event_id: Mapped[Id]
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.order_id"))
    at: Mapped[datetime]
    from_state: Mapped[str | None] = mapped_column(String(16))
    to_state: Mapped[str] = mapped_column(String(16))
    evidence: Mapped[dict[str, Any]]
