"""Tax lots, first in first out: which shares a sale closes, and what they had cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from core.errors import IntegrityBroken
from core.money import ZERO, money


class Lot(Protocol):
    """What closing needs to know of a lot."""

    @property
    def lot_id(self) -> int: ...
    @property
    def remaining(self) -> Decimal: ...
    @property
    def remaining_cost_usd(self) -> Decimal: ...


@dataclass(frozen=True)
class Closing:
    """The part of one lot that a sale closes, and what is left of the lot after it."""

    lot_id: int
    quantity: Decimal
    cost_usd: Decimal
    proceeds_usd: Decimal
    remaining: Decimal
    remaining_cost_usd: Decimal

    @property
    def gain_usd(self) -> Decimal:
        """Proceeds above cost; commission is booked apart."""
        return self.proceeds_usd - self.cost_usd


def close_fifo(lots: Sequence[Lot], *, quantity: Decimal, proceeds_usd: Decimal) -> list[Closing]:
    """Close `quantity` shares of `lots`, oldest first.

    A part of a lot takes its share of the lot's cost, rounded to the cent; the last part takes what is left, so no
    cent is lost. Proceeds are split over the parts in the same way. Raises IntegrityBroken when the lots hold less.
    """
    closings: list[Closing] = []
    open_quantity, open_proceeds = quantity, proceeds_usd
    for lot in lots:
        if open_quantity == 0:
            break
        part = min(lot.remaining, open_quantity)
        cost = lot.remaining_cost_usd if part == lot.remaining else money(lot.remaining_cost_usd * part / lot.remaining)
        proceeds = open_proceeds if part == open_quantity else money(open_proceeds * part / open_quantity)
        closings.append(
            Closing(
                lot_id=lot.lot_id,
                quantity=part,
                cost_usd=cost,
                proceeds_usd=proceeds,
                remaining=lot.remaining - part,
                remaining_cost_usd=lot.remaining_cost_usd - cost,
            )
        )
        open_quantity -= part
        open_proceeds -= proceeds
    if open_quantity != 0:
        held = sum((lot.remaining for lot in lots), ZERO)
        raise IntegrityBroken(f"a sale of {quantity} shares meets open lots of {held} shares")
    return closings
