"""Dividends and splits by ex-date."""

from datetime import date
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base


class CorporateAction(Base):
    """`amount_usd` a share on the split basis of `daily_bars.close` (dividend), or `ratio` new for old (split)."""

    __tablename__ = "corporate_actions"
    __table_args__ = (
        CheckConstraint("kind in ('dividend', 'split')", name="kind"),
        CheckConstraint(
            "(kind = 'dividend' and amount_usd > 0 and ratio is null)"
            " or (kind = 'split' and ratio > 0 and amount_usd is null)",
            name="value",
        ),
        Index("ix_corporate_actions_ex_on", "ex_on"),
    )

    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.instrument_id"), primary_key=True)
    ex_on: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    amount_usd: Mapped[Decimal | None] = mapped_column(Numeric(18, 6))
    ratio: Mapped[Decimal | None] = mapped_column(Numeric(18, 8))
    source: Mapped[str] = mapped_column(String(64))
