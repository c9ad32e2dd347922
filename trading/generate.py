"""Targets minus positions become whole-share trades: pure arithmetic on one account's book.

1. Every stock is compared with its target at the reference price. Within the drift threshold it stays as it is:
   a target that moved a little, or a price that did, is no reason to pay for a trade.
2. What left the target, or became restricted, is sold, however small; of shares brought in a fraction may stay, since
   orders are for whole shares.
3. Sales come first. Buys may use the cash above the floor and what the sales should bring after a haircut; when
   that is not enough all buys shrink by one factor, so the shape of the portfolio stays.
4. When cash would stay under the floor, the most overweight holdings are sold until it is a cushion above it.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from core.money import ZERO, money, weight

HAIRCUT = Decimal("0.0025")
"""Share of a trade set aside for costs and for the gap between tonight's close and the next open."""

CUSHION = Decimal("0.002")
"""Share of the account kept above the floor, so that a small move of the market does not break it."""


@dataclass(frozen=True)
class Book:
    """What one account holds, should hold and may not do; prices in USD, weights as fractions of its value.

    `frozen` are instruments with an order under way: nothing new is proposed for them, and `reserved_usd` is the
    cash that their buys may still take.
    """

    cash_usd: Decimal
    holdings: Mapping[int, Decimal]
    prices: Mapping[int, Decimal]
    targets: Mapping[int, Decimal]
    cash_weight_min: Decimal
    drift_threshold: Decimal
    trade_usd_min: Decimal
    restricted: Mapping[int, str] = field(default_factory=dict)
    frozen: Set[int] = frozenset()
    reserved_usd: Decimal = ZERO

    @property
    def value_usd(self) -> Decimal:
        """Cash and holdings at reference prices."""
        return self.cash_usd + sum(
            (money(quantity * self.prices[key]) for key, quantity in self.holdings.items()), ZERO
        )


@dataclass(frozen=True)
class Trade:
    """One proposed trade; weights before and after it at reference prices."""

    instrument_id: int
    side: str
    quantity: Decimal
    reference_price: Decimal
    weight_before: Decimal
    weight_after: Decimal
    reason: str


def generate_trades(book: Book) -> list[Trade]:
    """Sales, then buys (largest first), that bring the book to its targets; see the module's rules."""
    value = book.value_usd
    if value <= 0:
        return []
    keys = sorted(
        key for key in {*book.targets, *book.holdings} if book.prices.get(key, ZERO) > 0 and key not in book.frozen
    )
    wanted = {key: ZERO if key in book.restricted else book.targets.get(key, ZERO) for key in keys}
    changes: dict[int, Decimal] = {}
    for key in keys:
        change = _change(book, key, wanted[key], value)
        if change:
            changes[key] = change
    kept = (book.cash_weight_min + CUSHION) * value
    available = book.cash_usd - book.reserved_usd + _proceeds(book, changes)
    raised: set[int] = set()
    if available < book.cash_weight_min * value:
        raised = _raise_cash(book, changes, wanted, value, kept - available)
    _shrink_buys(book, changes, book.cash_usd - book.reserved_usd + _proceeds(book, changes) - kept)
    return _trades(book, changes, wanted, raised, value)


def _change(book: Book, key: int, wanted: Decimal, value: Decimal) -> Decimal:
    """Shares to buy (positive) or sell (negative); zero inside the drift threshold or under the least trade."""
    held, price = book.holdings.get(key, ZERO), book.prices[key]
    if wanted == 0:
        return -held.to_integral_value(ROUND_FLOOR)
    gap = wanted - held * price / value
    if abs(gap) < book.drift_threshold:
        return ZERO
    shares = (abs(gap) * value / price).to_integral_value(ROUND_FLOOR)
    if shares * price < book.trade_usd_min:
        return ZERO
    return shares if gap > 0 else -shares


def _proceeds(book: Book, changes: Mapping[int, Decimal]) -> Decimal:
    return sum((-change * book.prices[key] for key, change in changes.items() if change < 0), ZERO) * (1 - HAIRCUT)


def _raise_cash(
    book: Book, changes: dict[int, Decimal], wanted: Mapping[int, Decimal], value: Decimal, missing: Decimal
) -> set[int]:
    """Sell the most overweight first until `missing` USD are there; returns the instruments sold for that."""
    raised: set[int] = set()

    def overweight(key: int) -> Decimal:
        held = book.holdings[key] + min(changes.get(key, ZERO), ZERO)
        return held * book.prices[key] / value - wanted[key]

    for key in sorted((key for key in wanted if book.holdings.get(key, ZERO) > 0), key=lambda k: (-overweight(k), k)):
        if missing <= 0:
            break
        sold = min(changes.get(key, ZERO), ZERO)
        net = book.prices[key] * (1 - HAIRCUT)
        least = max(missing / net, book.trade_usd_min / book.prices[key])
        shares = min(least.to_integral_value(ROUND_CEILING), book.holdings[key].to_integral_value(ROUND_FLOOR) + sold)
        if shares > 0:
            changes[key] = sold - shares
            missing -= shares * net
            raised.add(key)
    return raised


def _shrink_buys(book: Book, changes: dict[int, Decimal], budget: Decimal) -> None:
    buys = [key for key, change in changes.items() if change > 0]
    cost = sum((changes[key] * book.prices[key] for key in buys), ZERO) * (1 + HAIRCUT)
    if not buys or cost <= budget:
        return
    factor = max(budget, ZERO) / cost
    for key in buys:
        shares = (changes[key] * factor).to_integral_value(ROUND_FLOOR)
        if shares == 0 or shares * book.prices[key] < book.trade_usd_min:
            del changes[key]
        else:
            changes[key] = shares


def _trades(
    book: Book, changes: Mapping[int, Decimal], wanted: Mapping[int, Decimal], raised: Set[int], value: Decimal
) -> list[Trade]:
    trades = []
    for key, change in changes.items():
        held, price = book.holdings.get(key, ZERO), book.prices[key]
        before, after = weight(held * price / value), weight((held + change) * price / value)
        trades.append(
            Trade(
                instrument_id=key,
                side="buy" if change > 0 else "sell",
                quantity=abs(change),
                reference_price=price,
                weight_before=before,
                weight_after=after,
                reason=_reason(book, key, before, wanted[key], key in raised),
            )
        )
    return sorted(trades, key=lambda t: (t.side == "buy", -t.quantity * t.reference_price, t.instrument_id))


def _reason(book: Book, key: int, before: Decimal, wanted: Decimal, raises_cash: bool) -> str:
    if key in book.restricted:
        return f"restricted for this account ({book.restricted[key]}): sold whole"
    if wanted == 0:
        return "no longer in the target: sold whole"
    if raises_cash:
        return f"raises cash to the floor of {book.cash_weight_min:.2%}: held {before:.2%}, target {wanted:.2%}"
    return f"held {before:.2%}, target {wanted:.2%}: off by more than the drift threshold {book.drift_threshold:.2%}"
