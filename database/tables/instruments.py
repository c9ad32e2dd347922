"""What can be held or watched, and how large it was when."""

from datetime import date
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt


class Instrument(Base):
    """A listed security. A symbol is one instrument here; reused symbols are excluded by the loaders."""

    __tablename__ = "instruments"
    __table_args__ = (
        CheckConstraint("kind in ('stock', 'etf', 'index')", name="kind"),
        Index("ix_instruments_sector", "sector"),
    )

    instrument_id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    symbol: Mapped[str] = mapped_column(String(16), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(8))
    sector: Mapped[str | None] = mapped_column(String(64))
    industry: Mapped[str | None] = mapped_column(String(128))
    cik: Mapped[str | None] = mapped_column(String(10))
    currency: Mapped[str] = mapped_column(String(3), server_default="USD")
    exchange: Mapped[str] = mapped_column(String(8), server_default="XNYS")
    created_at: Mapped[CreatedAt]


class MarketCap(Base):
    """Shares outstanding and market value as they became known. Shares are on the basis of `daily_bars.close`."""

    __tablename__ = "market_caps"

    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.instrument_id"), primary_key=True)
    known_on: Mapped[date] = mapped_column(primary_key=True)
    period_end_on: Mapped[date]
    shares_outstanding: Mapped[Decimal] = mapped_column(Numeric(20, 0))
    market_cap_usd: Mapped[Decimal | None] = mapped_column(Numeric(20, 2))
