"""What a recommendation would cost, and what its sale would realise: estimates before anything is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from core.money import ZERO, money
from database.queries.positions import OpenLot
from quant.costs import STANDARD_COSTS
from trading.lots import close_fifo

SHORT_TERM_TAX_RATE, LONG_TERM_TAX_RATE = Decimal("0.408"), Decimal("0.238")
"""Highest federal rates, net investment income tax included (26 U.S.C. 1(h), 1(j), 1411); states and losses carried
forward are not known, so what comes of them is the most that may be due, not what will be."""
_BASIS_POINTS = Decimal(10_000)


@dataclass(frozen=True)
class Gain:
    """Gains that a sale would realise, by how long its shares were held; losses are negative."""

    short_term_usd: Decimal = ZERO
    long_term_usd: Decimal = ZERO

    def __add__(self, other: "Gain") -> "Gain":
        return Gain(self.short_term_usd + other.short_term_usd, self.long_term_usd + other.long_term_usd)

    @property
    def tax_usd_max(self) -> Decimal:
        """Federal tax at the highest rates, losses of one kind set against gains of the other; never negative."""
        short, long = self.short_term_usd, self.long_term_usd
        if short < 0 or long < 0:
            rate = LONG_TERM_TAX_RATE if short < 0 else SHORT_TERM_TAX_RATE
            return money(max(short + long, ZERO) * rate)
        return money(short * SHORT_TERM_TAX_RATE + long * LONG_TERM_TAX_RATE)


def cost_usd(*, quantity: Decimal, price: Decimal, average_volume: Decimal) -> Decimal:
    """Half the spread, impact by the square-root law and commission, as the simulator charges them."""
    costs = STANDARD_COSTS
    impact = ZERO
    if average_volume > 0:
        impact = Decimal(str(costs.impact_bps)) * (quantity / average_volume).sqrt()
    slip = quantity * price * (Decimal(str(costs.half_spread_bps)) + impact) / _BASIS_POINTS
    commission = max(quantity * Decimal(str(costs.commission_usd_per_share)), Decimal(str(costs.commission_usd_min)))
    return money(slip + commission)


def gain_of_sale(lots: Sequence[OpenLot], *, quantity: Decimal, price: Decimal, sold_on: date) -> Gain:
    """What selling `quantity` of the lots at `price` would realise, oldest first, before commission."""
    opened = {lot.lot_id: lot.opened_on for lot in lots}
    held = sum((lot.remaining for lot in lots), ZERO)
    gain = Gain()
    for part in close_fifo(lots, quantity=min(quantity, held), proceeds_usd=money(min(quantity, held) * price)):
        is_long = sold_on > _a_year_after(opened[part.lot_id])
        gain += Gain(ZERO, part.gain_usd) if is_long else Gain(part.gain_usd, ZERO)
    return gain


def _a_year_after(day: date) -> date:
    """Shares held for more than a year are long-term (26 U.S.C. 1222); 29 February is followed by 28 February."""
    return day.replace(year=day.year + 1, day=min(day.day, 28) if day.month == 2 else day.day)
