"""How far an account is from its target, and which trades would bring it there. Pure arithmetic.

The total is half the sum of the absolute differences between actual and target weights, cash included: the share of
the account that would have to change hands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from typing import Literal

from core.money import ZERO, Money, Weight, money, weight
from portfolios.book import Book, Prices, position_values, unpriced


@dataclass(frozen=True)
class Trade:
    """Whole shares at the last price; the night's own proposals also keep cash, turnover and the least trade."""

    instrument_id: int
    symbol: str
    side: Literal["buy", "sell"]
    quantity: Decimal
    value_usd: Money


@dataclass(frozen=True)
class Gap:
    """One stock's distance: actual less target. `is_off` tells that it is beyond the mandate's threshold."""

    instrument_id: int
    symbol: str
    name: str
    weight: Weight
    target_weight: Weight
    difference: Weight
    is_off: bool
    trade: Trade | None


@dataclass(frozen=True)
class Drift:
    """One account's distance from the target of `target_on`; `total` is None, with `why`, where it is not known."""

    account_id: int
    account: str | None
    value_usd: Money
    target_on: date | None
    strategy: str | None
    threshold: Decimal | None
    total: Weight | None
    cash_weight: Weight | None
    cash_target: Weight | None
    cash_difference: Weight | None
    off_count: int | None
    gaps: tuple[Gap, ...]
    why: str | None = None

    @property
    def trades(self) -> list[Trade]:
        """What would remove the drift, sales first."""
        found = [gap.trade for gap in self.gaps if gap.trade is not None]
        return sorted(found, key=lambda trade: (trade.side == "buy", -trade.value_usd, trade.symbol))


def measure_drift(book: Book, prices: Prices) -> Drift:
    """The account against its newest target; restricted stocks should be gone whatever the target says."""
    value = book.value_usd(prices)
    why = _unknown(book, prices, value)
    if why is not None or book.plan is None or book.limits is None:
        return Drift(
            account_id=book.account_id,
            account=book.account.account,
            value_usd=value,
            target_on=book.plan.session_on if book.plan else None,
            strategy=book.plan.strategy if book.plan else None,
            threshold=book.limits.drift_threshold if book.limits else None,
            total=None,
            cash_weight=None,
            cash_target=book.plan.cash_weight if book.plan else None,
            cash_difference=None,
            off_count=None,
            gaps=(),
            why=why,
        )
    values = position_values(book, prices)
    wanted = {key: ZERO if key in book.restricted else part for key, part in book.plan.weights.items()}
    gaps = [_gap(key, book, prices, values, wanted, value) for key in sorted({*values, *wanted})]
    gaps.sort(key=lambda gap: (-abs(gap.difference), gap.symbol))
    cash = weight(book.cash_usd / value)
    cash_target = 1 - sum(wanted.values(), ZERO)
    total = (sum((abs(gap.difference) for gap in gaps), ZERO) + abs(cash - cash_target)) / 2
    return Drift(
        account_id=book.account_id,
        account=book.account.account,
        value_usd=value,
        target_on=book.plan.session_on,
        strategy=book.plan.strategy,
        threshold=book.limits.drift_threshold,
        total=weight(total),
        cash_weight=cash,
        cash_target=weight(cash_target),
        cash_difference=weight(cash - cash_target),
        off_count=sum(gap.is_off for gap in gaps),
        gaps=tuple(gaps),
    )


def _unknown(book: Book, prices: Prices, value: Money) -> str | None:
    missing = unpriced(book, prices)
    if missing:
        symbols = ", ".join(sorted(prices.stocks[key].symbol for key in missing))
        return f"{symbols} is held and has no price, so no weight is known"
    if book.plan is None:
        return "no night has set a target for this account yet"
    if book.limits is None:
        return "the account has no mandate in force on this day"
    if value <= 0:
        return "the account is empty"
    return None


def _gap(
    key: int,
    book: Book,
    prices: Prices,
    values: Mapping[int, Money],
    wanted: Mapping[int, Decimal],
    total: Money,
) -> Gap:
    assert book.limits is not None
    stock = prices.stocks[key]
    actual, target = weight(values.get(key, ZERO) / total), weight(wanted.get(key, ZERO))
    difference = actual - target
    is_off = abs(difference) >= book.limits.drift_threshold or (target == 0 and actual > 0)
    trade = _trade(key, book, prices, values.get(key, ZERO), target * total) if is_off else None
    return Gap(key, stock.symbol, stock.name, actual, target, difference, is_off, trade)


def _trade(key: int, book: Book, prices: Prices, value: Money, wanted_usd: Decimal) -> Trade | None:
    mark, held = prices.marks.get(key), book.quantities.get(key, ZERO)
    if mark is None or mark.close <= 0:
        return None
    shares = held if wanted_usd == 0 else (abs(value - wanted_usd) / mark.close).to_integral_value(ROUND_FLOOR)
    if shares == 0:
        return None
    side: Literal["buy", "sell"] = "sell" if value > wanted_usd else "buy"
    return Trade(key, prices.stocks[key].symbol, side, shares, money(shares * mark.close))
