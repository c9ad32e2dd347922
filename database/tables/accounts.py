"""Accounts with their mandates, restrictions and autonomy."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, Numeric, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Fraction, Id


class Account(Base):
    """One pot of money. `book` names the history it lives in: `paper` for the firm's own, else a replay's name."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("kind in ('paper', 'replay', 'live')", name="kind"),
        CheckConstraint("status in ('active', 'halted', 'closed')", name="status"),
        CheckConstraint("(status = 'halted') = (halted_reason is not null)", name="halted_reason"),
        CheckConstraint("(status = 'closed') = (closed_on is not null)", name="closed_on"),
        CheckConstraint("taxation in ('taxable', 'tax_deferred', 'tax_free')", name="taxation"),
        UniqueConstraint("client_id", "book", "name"),
        Index("ix_accounts_book", "book"),
    )

    account_id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.client_id"))
    name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(8))
    book: Mapped[str] = mapped_column(String(64))
    broker: Mapped[str] = mapped_column(String(16), server_default="paper")
    currency: Mapped[str] = mapped_column(String(3), server_default="USD")
    status: Mapped[str] = mapped_column(String(8), server_default="active")
    halted_reason: Mapped[str | None] = mapped_column(Text)
    opened_on: Mapped[date]
    closed_on: Mapped[date | None]
    taxation: Mapped[str] = mapped_column(String(16), server_default="taxable")
    initial_cash_usd: Mapped[Decimal] = mapped_column(Numeric(20, 2))
    created_at: Mapped[CreatedAt]


class Mandate(Base):
    """The account's limits; a change is a new row, the newest row not after the night counts."""

    __tablename__ = "mandates"
    __table_args__ = (
        CheckConstraint("cash_weight_min between 0 and 1", name="cash_weight_min"),
        CheckConstraint("position_weight_max > 0 and position_weight_max <= 1", name="position_weight_max"),
        CheckConstraint("sector_weight_max > 0 and sector_weight_max <= 1", name="sector_weight_max"),
        CheckConstraint("drift_threshold between 0 and 1", name="drift_threshold"),
        CheckConstraint("turnover_max > 0", name="turnover_max"),
        CheckConstraint("trade_usd_min >= 0", name="trade_usd_min"),
        UniqueConstraint("account_id", "version"),
    )

    mandate_id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.account_id"))
    version: Mapped[int] = mapped_column(Integer)
    effective_on: Mapped[date]
    cash_weight_min: Mapped[Fraction]
    position_weight_max: Mapped[Fraction]
    sector_weight_max: Mapped[Fraction]
    drift_threshold: Mapped[Fraction]
    turnover_max: Mapped[Fraction]
    trade_usd_min: Mapped[Decimal] = mapped_column(Numeric(20, 2))
    preferred_strategy: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[CreatedAt]


class Restriction(Base):
    """Something the account must not hold: a ticker, a sector, or stocks that carry an ESG flag."""

    __tablename__ = "restrictions"
    __table_args__ = (
        CheckConstraint("kind in ('ticker', 'sector', 'esg')", name="kind"),
        Index("ix_restrictions_account_id", "account_id"),
    )

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.account_id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    value: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[CreatedAt]


class EsgFlag(Base):
    """A firm's own mark on a stock (tobacco, weapons, ...): uploaded, never shipped."""

    __tablename__ = "esg_flags"

    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.instrument_id"), primary_key=True)
    flag: Mapped[str] = mapped_column(String(64), primary_key=True)
    source: Mapped[str] = mapped_column(String(64))


class AutonomousSetting(Base):
    """Whether the nightly run may trade the account without an advisor's approval, and how much in one night.

    Past `orders_max` orders or `traded_usd_max` (both sides, at reference prices) the night's rest waits for a person.
    """

    __tablename__ = "autonomous_settings"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.account_id"), primary_key=True)
    enabled: Mapped[bool]
    paused_at: Mapped[datetime | None]
    paused_reason: Mapped[str | None] = mapped_column(Text)
    orders_max: Mapped[int | None]
    traded_usd_max: Mapped[Decimal | None] = mapped_column(Numeric(20, 2))
    changed_at: Mapped[CreatedAt]
