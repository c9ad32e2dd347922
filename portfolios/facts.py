"""What the health of one account is judged by, in numbers that a supposed trade can change."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from database.queries import portfolios as queries
from database.session import Session
from portfolios.allocation import UNKNOWN_SECTOR
from portfolios.book import Book, Prices, position_values, unpriced
from portfolios.drift import Drift, measure_drift

Floats = npt.NDArray[np.float64]
LOOK_BACK_SESSIONS = 252
HISTORY_SESSIONS_MIN = 60
_LOOK_BACK = timedelta(days=380)
BENCHMARK = "SPX"


@dataclass(frozen=True)
class History:
    """Daily returns over the look-back, dividends included, of the stocks that have all of them, and the index's."""

    sessions: int
    returns: Mapping[int, Floats]
    market: Floats | None


@dataclass(frozen=True)
class Facts:
    """One account. Amounts in USD; weights are fractions of `total`. `unpriced` names what has no price."""

    account_id: int
    tolerance: str
    cash: float
    values: Mapping[int, float]
    prices: Mapping[int, float]
    symbols: Mapping[int, str]
    sectors: Mapping[int, str]
    cash_min: float | None
    position_max: float
    sector_max: float
    threshold: float
    trade_min: float
    plan: Mapping[int, float] | None
    plan_cash: float | None
    restricted: Mapping[int, str]
    stale: frozenset[int]
    ranks: Mapping[int, float]
    unpriced: tuple[str, ...]
    history: History
    drift: Drift

    @property
    def total(self) -> float:
        """Cash and holdings."""
        return self.cash + sum(self.values.values())

    def weight(self, key: int) -> float:
        """One holding's share."""
        return self.values.get(key, 0.0) / self.total if self.total > 0 else 0.0

    def sector_weights(self) -> dict[str, float]:
        """Shares by sector."""
        found: dict[str, float] = {}
        for key, value in self.values.items():
            found[self.sectors[key]] = found.get(self.sectors[key], 0.0) + value / self.total
        return found

    def after(self, shares: Mapping[int, float]) -> "Facts":
        """The account once `shares` (signed) were traded at the last prices, costs left aside."""
        values = dict(self.values)
        cash = self.cash
        for key, quantity in shares.items():
            amount = quantity * self.prices[key]
            values[key] = values.get(key, 0.0) + amount
            cash -= amount
        kept = {key: value for key, value in values.items() if value > 0.005}
        return replace(self, cash=cash, values=kept)


def state_facts(book: Book, prices: Prices, history: History) -> Facts:
    """The account as rules see it. Stocks of the plan that are not held yet are known too."""
    limits, plan = book.limits, book.plan
    values = {key: float(value) for key, value in position_values(book, prices).items()}
    keys = {*values, *(plan.weights if plan else ())}
    wanted = None if plan is None else {k: float(v) for k, v in plan.weights.items() if k not in book.restricted}
    ranked = {key: prices.ranks.get((plan.strategy, key)) for key in values} if plan else {}
    return Facts(
        account_id=book.account_id,
        tolerance=book.account.risk_tolerance,
        cash=float(book.cash_usd),
        values=values,
        prices={key: float(prices.marks[key].close) for key in keys if key in prices.marks},
        symbols={key: prices.stocks[key].symbol for key in keys},
        sectors={key: prices.stocks[key].sector or UNKNOWN_SECTOR for key in keys},
        cash_min=None if limits is None else float(limits.cash_weight_min),
        position_max=1.0 if limits is None else float(limits.position_weight_max),
        sector_max=1.0 if limits is None else float(limits.sector_weight_max),
        threshold=0.0 if limits is None else float(limits.drift_threshold),
        trade_min=0.0 if limits is None else float(limits.trade_usd_min),
        plan=wanted,
        plan_cash=None if wanted is None else 1.0 - sum(wanted.values()),
        restricted={key: why for key, why in book.restricted.items() if key in values},
        stale=frozenset(key for key in values if prices.is_stale(key)),
        ranks={key: (row.rank - 1) / row.listed for key, row in ranked.items() if row is not None},
        unpriced=tuple(sorted(prices.stocks[key].symbol for key in unpriced(book, prices))),
        history=history,
        drift=measure_drift(book, prices),
    )


def read_history(session: Session, *, instrument_ids: set[int], as_of: date) -> History:
    """The look-back up to `as_of`; a stock without a close on each of its sessions is left out."""
    first_on = as_of - _LOOK_BACK
    index = queries.index_levels(session, series=BENCHMARK, first_on=first_on, until_on=as_of)
    closes = queries.closes_between(session, instrument_ids=instrument_ids, first_on=first_on, until_on=as_of)
    sessions = sorted({day for days, _ in closes.values() for day in days})[-(LOOK_BACK_SESSIONS + 1) :]
    place = {day: row for row, day in enumerate(sessions)}
    returns = {}
    for key, (days, prices) in closes.items():
        levels = np.full(len(sessions), np.nan)
        for day, level in zip(days, prices, strict=True):
            if day in place:
                levels[place[day]] = level
        if len(sessions) > 1 and np.isfinite(levels).all() and (levels > 0).all():
            returns[key] = levels[1:] / levels[:-1] - 1.0
    market = None
    if len(sessions) > 1 and all(day in index for day in sessions):
        levels = np.array([index[day] for day in sessions])
        market = levels[1:] / levels[:-1] - 1.0
    return History(max(len(sessions) - 1, 0), returns, market)
