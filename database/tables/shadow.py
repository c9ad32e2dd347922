"""The shadow ledger: what each lane of each strategy would be worth, night by night, on the one simulator."""

from datetime import date
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt

# A lane begins with 1,000,000 USD in cash.
START_CENTS = 100_000_000
LANES = ("served", "plain", "screener", "allocator")


class ShadowDay(Base):
    """A lane's book after one session; amounts in cents, `holdings` maps instrument_id to [whole shares, last close].

    `traded` and `costs` are those of the orders of `allocation_id`, which was decided on the session before and filled
    at this one's open; None where nothing was due.

    Lanes: `served` is what clients get; `plain` the rule and the best simple allocator; `screener` the learned scores
    with the simple allocator; `allocator` the learned scores with the learned allocator.
    """

    __tablename__ = "shadow_days"
    __table_args__ = (
        CheckConstraint("lane in ('served', 'plain', 'screener', 'allocator')", name="lane"),
        CheckConstraint("value_cents > 0", name="value"),
    )

    strategy: Mapped[str] = mapped_column(String(32), primary_key=True)
    lane: Mapped[str] = mapped_column(String(16), primary_key=True)
    session_on: Mapped[date] = mapped_column(primary_key=True)
    value_cents: Mapped[int] = mapped_column(BigInteger)
    cash_cents: Mapped[int] = mapped_column(BigInteger)
    traded_cents: Mapped[int] = mapped_column(BigInteger)
    costs_cents: Mapped[int] = mapped_column(BigInteger)
    holdings: Mapped[dict[str, Any]]
    allocation_id: Mapped[int | None] = mapped_column(ForeignKey("allocations.allocation_id"), index=True)
    created_at: Mapped[CreatedAt]
