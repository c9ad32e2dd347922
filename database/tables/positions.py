"""What each account holds now, lot by lot, and what it was worth on each session."""

from datetime import date
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id, Shares, Usd


class Position(Base):
    """Shares and cost of one holding; equals the sum of its open lots."""

    __tablename__ = "positions"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity"),
        Index("ix_positions_instrument_id", "instrument_id"),
    )

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.account_id"), primary_key=True)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.instrument_id"), primary_key=True)
    quantity: Mapped[Shares]
    cost_usd: Mapped[Usd]


class TaxLot(Base):
    """Shares bought together, or brought in together from elsewhere; sales close the oldest first (FIFO).

    `fill_id` is the purchase; of shares brought in, `entry_id` is the transfer and `opened_on` the day of the original
    purchase.
    """

    __tablename__ = "tax_lots"
    __table_args__ = (
        CheckConstraint("quantity > 0 and remaining between 0 and quantity", name="remaining"),
        CheckConstraint("(remaining = 0) = (closed_on is not null)", name="closed"),
        CheckConstraint("(fill_id is null) <> (entry_id is null)", name="origin"),
        Index("ix_tax_lots_account_id_instrument_id", "account_id", "instrument_id", "opened_on", "lot_id"),
        Index("ix_tax_lots_open", "account_id", "instrument_id", postgresql_where="remaining > 0"),
    )

    lot_id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.account_id"))
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.instrument_id"))
    fill_id: Mapped[int | None] = mapped_column(ForeignKey("fills.fill_id"), index=True)
    entry_id: Mapped[int | None] = mapped_column(ForeignKey("journal_entries.entry_id"), index=True)
    opened_on: Mapped[date]
    closed_on: Mapped[date | None]
    quantity: Mapped[Shares]
    remaining: Mapped[Shares]
    cost_usd: Mapped[Usd]
    remaining_cost_usd: Mapped[Usd]


class LotClosing(Base):
    """The part of a lot that one sale closed, with its gain."""

    __tablename__ = "lot_closings"

    lot_id: Mapped[int] = mapped_column(ForeignKey("tax_lots.lot_id"), primary_key=True)
    fill_id: Mapped[int] = mapped_column(ForeignKey("fills.fill_id"), primary_key=True, index=True)
    closed_on: Mapped[date]
    quantity: Mapped[Shares]
    cost_usd: Mapped[Usd]
    proceeds_usd: Mapped[Usd]
    gain_usd: Mapped[Decimal] = mapped_column(Numeric(20, 2))


class AccountValuation(Base):
    """Cash and holdings at the close of a session."""

    __tablename__ = "account_valuations"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.account_id"), primary_key=True)
    session_on: Mapped[date] = mapped_column(primary_key=True)
    cash_usd: Mapped[Usd]
    securities_usd: Mapped[Usd]
    created_at: Mapped[CreatedAt]
