"""Executions, with what they cost."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id, PriceUsd, Shares


class Fill(Base):
    """One execution. `price` already holds spread and impact; `commission_usd` comes on top."""

    __tablename__ = "fills"
    __table_args__ = (
        CheckConstraint("quantity > 0 and price > 0 and commission_usd >= 0", name="positive"),
        Index("ix_fills_order_id", "order_id"),
        Index("ix_fills_session_on", "session_on"),
    )

    fill_id: Mapped[Id]
    broker_fill_id: Mapped[str] = mapped_column(String(96), unique=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.order_id"))
    session_on: Mapped[date]
    filled_at: Mapped[datetime]
    quantity: Mapped[Shares]
    market_price: Mapped[PriceUsd]
    price: Mapped[PriceUsd]
    commission_usd: Mapped[Decimal] = mapped_column(Numeric(20, 2))
    spread_cost_usd: Mapped[Decimal] = mapped_column(Numeric(20, 2))
    impact_cost_usd: Mapped[Decimal] = mapped_column(Numeric(20, 2))
    created_at: Mapped[CreatedAt]
