"""Where the money is: by sector, by the strategy that it follows, and cash."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.money import ZERO, Money, Weight, weight
from portfolios.book import Book, Prices, position_values
from portfolios.holdings import Portfolio

UNKNOWN_SECTOR = "sector unknown"
NO_STRATEGY = "outside any target"
CASH = "cash"


@dataclass(frozen=True)
class Slice:
    """One part of the whole; `target_weight` is None where no target is known."""

    name: str
    value_usd: Money
    weight: Weight | None
    target_weight: Weight | None
    holdings: int


def by_sector(portfolio: Portfolio, books: Sequence[Book], prices: Prices) -> list[Slice]:
    """Sectors, largest first, then cash. Planned stocks that are not held yet count in their sector's target."""
    values: dict[str, tuple[Money, int]] = {}
    for holding in portfolio.holdings:
        name = holding.sector or UNKNOWN_SECTOR
        value, count = values.get(name, (ZERO, 0))
        values[name] = (value + (holding.value_usd or ZERO), count + 1)
    targets = _sector_targets(books, prices, portfolio.value_usd) if portfolio.cash_target is not None else None
    for name in targets or ():
        values.setdefault(name, (ZERO, 0))
    return [*_slices(values, targets, portfolio.value_usd), cash_slice(portfolio)]


def by_strategy(portfolio: Portfolio, books: Sequence[Book], prices: Prices) -> list[Slice]:
    """Strategies, largest first, then cash: a holding follows its account's strategy if the target names it."""
    values: dict[str, tuple[Money, int]] = {}
    targets: dict[str, Decimal] = {}
    for book in books:
        plan, worth = book.plan, book.value_usd(prices)
        for key, value in position_values(book, prices).items():
            name = plan.strategy if plan is not None and key in plan.weights else NO_STRATEGY
            before, count = values.get(name, (ZERO, 0))
            values[name] = (before + value, count + 1)
        if plan is not None and portfolio.value_usd > 0:
            share = sum(plan.weights.values(), ZERO) * worth / portfolio.value_usd
            targets[plan.strategy] = targets.get(plan.strategy, ZERO) + share
            values.setdefault(plan.strategy, (ZERO, 0))
    known = targets if portfolio.cash_target is not None else None
    return [*_slices(values, known, portfolio.value_usd), cash_slice(portfolio)]


def cash_slice(portfolio: Portfolio) -> Slice:
    """The part in cash."""
    return Slice(CASH, portfolio.cash_usd, portfolio.cash_weight, portfolio.cash_target, 0)


def _sector_targets(books: Sequence[Book], prices: Prices, total: Money) -> dict[str, Decimal]:
    targets: dict[str, Decimal] = {}
    for book in books:
        if book.plan is not None and total > 0:
            share = book.value_usd(prices) / total
            for key, wanted in book.plan.weights.items():
                name = prices.stocks[key].sector or UNKNOWN_SECTOR
                targets[name] = targets.get(name, ZERO) + wanted * share
    return targets


def _slices(values: dict[str, tuple[Money, int]], targets: dict[str, Decimal] | None, total: Money) -> list[Slice]:
    found = [
        Slice(
            name=name,
            value_usd=value,
            weight=weight(value / total) if total > 0 else None,
            target_weight=None if targets is None else weight(targets.get(name, ZERO)),
            holdings=count,
        )
        for name, (value, count) in values.items()
    ]
    return sorted(found, key=lambda one: (-one.value_usd, one.name))
