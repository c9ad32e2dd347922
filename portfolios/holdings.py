"""Holdings of one account or of several together: value, weight, cost, gain, the day's change. Pure arithmetic.

What has no price has no value: it is named, the totals are marked as partial, and weights are of what is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from core.money import ZERO, Money, Weight, money, weight
from database.queries.portfolios import HeldLot
from portfolios.book import Book, PriceMark, Prices


@dataclass(frozen=True)
class Holding:
    """One stock over all the accounts. `day_change_usd` counts shares bought on the day from what they cost."""

    instrument_id: int
    symbol: str
    name: str
    sector: str | None
    quantity: Decimal
    price: Decimal | None
    price_on: date | None
    is_stale: bool
    value_usd: Money | None
    weight: Weight | None
    target_weight: Weight | None
    cost_usd: Money
    gain_usd: Money | None
    gain: Weight | None
    day_change_usd: Money | None
    day_change: Weight | None
    lots: int
    restriction: str | None
    rank: int | None
    bought_after: Decimal


@dataclass(frozen=True)
class Portfolio:
    """Holdings, largest first, and what they come to. With `missing` prices the totals leave those holdings out."""

    holdings: tuple[Holding, ...]
    cash_usd: Money
    cash_weight: Weight | None
    cash_target: Weight | None
    securities_usd: Money
    value_usd: Money
    cost_usd: Money
    gain_usd: Money
    missing: tuple[str, ...]
    stale: tuple[str, ...]

    @property
    def is_partial(self) -> bool:
        """Whether something held could not be priced."""
        return bool(self.missing)


def combine(books: Sequence[Book], prices: Prices, *, as_of: date) -> Portfolio:
    """The holdings of the books together."""
    lots: dict[int, list[HeldLot]] = {}
    for book in books:
        for lot in book.lots:
            lots.setdefault(lot.instrument_id, []).append(lot)
    cash = sum((book.cash_usd for book in books), ZERO)
    values = {
        key: money(sum((lot.quantity for lot in own), ZERO) * prices.marks[key].close)
        for key, own in lots.items()
        if key in prices.marks
    }
    total = cash + sum(values.values(), ZERO)
    targets, cash_target = _targets(books, prices)
    found = [_holding(key, own, books, prices, values.get(key), total, targets, as_of) for key, own in lots.items()]
    found.sort(key=lambda one: (one.value_usd is None, -(one.value_usd or ZERO), one.symbol))
    priced = [one for one in found if one.value_usd is not None]
    return Portfolio(
        holdings=tuple(found),
        cash_usd=cash,
        cash_weight=_share(cash, total),
        cash_target=cash_target,
        securities_usd=total - cash,
        value_usd=total,
        cost_usd=sum((one.cost_usd for one in priced), ZERO),
        gain_usd=sum((one.gain_usd for one in priced if one.gain_usd is not None), ZERO),
        missing=tuple(one.symbol for one in found if one.value_usd is None),
        stale=tuple(one.symbol for one in found if one.is_stale),
    )


def _holding(
    key: int,
    lots: Sequence[HeldLot],
    books: Sequence[Book],
    prices: Prices,
    value: Money | None,
    total: Money,
    targets: dict[int, Weight] | None,
    as_of: date,
) -> Holding:
    mark, stock = prices.marks.get(key), prices.stocks[key]
    cost = sum((lot.cost_usd for lot in lots), ZERO)
    gain = None if value is None else value - cost
    change = None if mark is None else _day_change(lots, mark, as_of)
    strategies = [book.plan.strategy for book in books if book.plan is not None]
    ranks = [prices.ranks[name, key].rank for name in strategies if (name, key) in prices.ranks]
    return Holding(
        instrument_id=key,
        symbol=stock.symbol,
        name=stock.name,
        sector=stock.sector,
        quantity=sum((lot.quantity for lot in lots), ZERO),
        price=None if mark is None else mark.close,
        price_on=None if mark is None else mark.price_on,
        is_stale=prices.is_stale(key),
        value_usd=value,
        weight=None if value is None else _share(value, total),
        target_weight=None if targets is None else targets.get(key, ZERO),
        cost_usd=cost,
        gain_usd=gain,
        gain=None if gain is None else _share(gain, cost),
        day_change_usd=change,
        day_change=None if change is None or value is None else _share(change, value - change),
        lots=len(lots),
        restriction=next(
            (book.restricted[key] for book in books if key in book.restricted and _holds(book, key)), None
        ),
        rank=min(ranks, default=None),
        bought_after=sum((lot.quantity for lot in lots if lot.fill_on is not None and lot.fill_on > as_of), ZERO),
    )


def _holds(book: Book, key: int) -> bool:
    return any(lot.instrument_id == key for lot in book.lots)


def _day_change(lots: Sequence[HeldLot], mark: PriceMark, as_of: date) -> Money | None:
    """What the shares gained on the session: 0 for those bought after it, None where no earlier close is known."""
    if mark.price_on < as_of:
        return None
    change = ZERO
    for lot in lots:
        bought_on = lot.fill_on
        if bought_on is None or bought_on < mark.price_on:
            if mark.previous_close is None:
                return None
            change += money(lot.quantity * (mark.close - mark.previous_close))
        elif bought_on == mark.price_on:
            change += money(lot.quantity * mark.close) - lot.cost_usd
    return change


def _targets(books: Sequence[Book], prices: Prices) -> tuple[dict[int, Weight] | None, Weight | None]:
    """The accounts' targets as weights of all of them together; unknown while one that holds anything has none."""
    values = {book.account_id: book.value_usd(prices) for book in books}
    total = sum(values.values(), ZERO)
    planned = [book for book in books if values[book.account_id] > 0]
    if total <= 0 or any(book.plan is None for book in planned):
        return None, None
    sums: dict[int, Decimal] = {}
    cash = ZERO
    for book in planned:
        assert book.plan is not None
        share = values[book.account_id] / total
        cash += book.plan.cash_weight * share
        for key, wanted in book.plan.weights.items():
            sums[key] = sums.get(key, ZERO) + wanted * share
    return {key: weight(value) for key, value in sums.items()}, weight(cash)


def _share(part: Decimal, whole: Decimal) -> Weight | None:
    return weight(part / whole) if whole > 0 else None
