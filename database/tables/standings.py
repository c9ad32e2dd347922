"""How each account stands, kept beside the rows that it follows from."""

from datetime import date
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Usd


class AccountStanding(Base):
    """How an account stands after its last session or trade, as lists of clients sort and filter by it.

    Always derivable from the other rows; None where the answer is not known. `year_return` is time-weighted, since the
    turn of the year or since the account began in it. `drift` is half the sum of the absolute differences between
    actual and target weights, cash included; `off_plan_count` the holdings that are off by more than the mandate's
    threshold. `health_score` is 0 to 100.
    """

    __tablename__ = "account_standings"
    __table_args__ = (CheckConstraint("off_plan_count >= 0", name="off_plan_count"),)

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.account_id"), primary_key=True)
    session_on: Mapped[date]
    value_usd: Mapped[Usd]
    cash_usd: Mapped[Usd]
    day_change_usd: Mapped[Decimal | None] = mapped_column(Numeric(20, 2))
    year_return: Mapped[Decimal | None] = mapped_column(Numeric(12, 8))
    drift: Mapped[Decimal | None] = mapped_column(Numeric(12, 8))
    off_plan_count: Mapped[int | None]
    health_score: Mapped[Decimal | None] = mapped_column(Numeric(5, 1))
    changed_at: Mapped[CreatedAt]


class UniverseDay(Base):
    """What the index's members earned in equal weights on one session, dividends included: the naive portfolio."""

    __tablename__ = "universe_days"

    session_on: Mapped[date] = mapped_column(primary_key=True)
    members: Mapped[int]
    mean_return: Mapped[float]
