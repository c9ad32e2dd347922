"""What a feature may look at: one stock's sessions, the market's, or the cross-sections of finished features."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from features.arrays import Days, Flags, Floats, Floats32, Integers
from features.facts import FACT_AGE_DAYS_MAX, SHARES, SHARES_AGE_DAYS_MAX, FactHistory, as_known
from features.windows import lagged, rolling_max, rolling_min, rolling_sum

YEAR_SESSIONS = 252
# The macro series that features may read, with the least number of days from the day observed to its first use.
# Treasury yields of a day are published after the close.
MACRO_LAG_DAYS = {"VIX": 0, "DGS3MO": 1, "DGS2": 1, "DGS10": 1}


@dataclass(frozen=True, eq=False)
class StockHistory:
    """One stock's sessions in order, oldest first; every array has one entry a session.

    `close`, `volume`, `dividend` (USD a share on its ex-date, else 0) and the shares outstanding are on one split
    basis; `adj_close` also holds later dividends, so only its ratios mean anything. A feature that wants a price level
    of its own must divide it away.
    """

    days: Days
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    adj_close: Floats
    volume: Floats
    dividend: Floats
    market_returns: Floats
    facts: Mapping[str, FactHistory]
    _sums: dict[tuple[str, int], Floats] = field(default_factory=dict, init=False, repr=False)
    _variances: dict[int, Floats] = field(default_factory=dict, init=False, repr=False)
    _known: dict[str, tuple[Floats, Floats]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def adjustment(self) -> Floats:
        """What brings open, high and low to the basis of `adj_close`."""
        return self.adj_close / self.close

    @cached_property
    def adj_high(self) -> Floats:
        """High on the basis of `adj_close`."""
        return self.high * self.adjustment

    @cached_property
    def adj_low(self) -> Floats:
        """Low on the basis of `adj_close`."""
        return self.low * self.adjustment

    @cached_property
    def changes(self) -> Floats:
        """Session-to-session change of `adj_close`."""
        return self.adj_close - lagged(self.adj_close, 1)

    @cached_property
    def returns(self) -> Floats:
        """Total return of each session."""
        return self.changes / lagged(self.adj_close, 1)

    @cached_property
    def squared_returns(self) -> Floats:
        """Square of the session's return."""
        return self.returns * self.returns

    @cached_property
    def squared_market_returns(self) -> Floats:
        """Square of the market's return over the stock's session."""
        return self.market_returns * self.market_returns

    @cached_property
    def market_products(self) -> Floats:
        """Return of the stock times return of the market."""
        return self.returns * self.market_returns

    @cached_property
    def usd_volume(self) -> Floats:
        """Money traded in the session, USD."""
        return self.close * self.volume

    @cached_property
    def market_cap(self) -> Floats:
        """Value of all shares, USD; NaN where the number of shares is unknown or stale."""
        return self.fact(SHARES) * self.close

    def sums(self, series: str, window: int) -> Floats:
        """Sum of the last `window` values of one of the arrays above, worked out once."""
        key = (series, window)
        if key not in self._sums:
            self._sums[key] = rolling_sum(getattr(self, series), window)
        return self._sums[key]

    def means(self, series: str, window: int) -> Floats:
        """Mean of the last `window` values of one of the arrays above."""
        return self.sums(series, window) / window

    def variances(self, window: int) -> Floats:
        """Sample variance of the last `window` returns, worked out once."""
        if window not in self._variances:
            sums = self.sums("returns", window)
            self._variances[window] = _variance(sums, self.sums("squared_returns", window), window)
        return self._variances[window]

    def market_variances(self, window: int) -> Floats:
        """Sample variance of the market's returns over the last `window` sessions of the stock."""
        sums = self.sums("market_returns", window)
        return _variance(sums, self.sums("squared_market_returns", window), window)

    def market_covariances(self, window: int) -> Floats:
        """Sample covariance with the market over the last `window` sessions of the stock."""
        product = self.sums("returns", window) * self.sums("market_returns", window) / window
        return (self.sums("market_products", window) - product) / (window - 1)

    def total_return(self, window: int, *, skipped: int = 0) -> Floats:
        """Total return from `window` sessions ago to `skipped` sessions ago."""
        return lagged(self.adj_close, skipped) / lagged(self.adj_close, window) - 1.0

    def highest(self, window: int) -> Floats:
        """Highest adjusted high of the last `window` sessions."""
        return rolling_max(self.adj_high, window)

    def lowest(self, window: int) -> Floats:
        """Lowest adjusted low of the last `window` sessions."""
        return rolling_min(self.adj_low, window)

    def fact(self, item: str) -> Floats:
        """Newest value of a reported item as known on each day; NaN where unknown or stale."""
        return self._as_known(item)[0]

    def fact_year_before(self, item: str) -> Floats:
        """The same item of the fiscal year before that of `fact`, as known on each day."""
        return self._as_known(item)[1]

    def _as_known(self, item: str) -> tuple[Floats, Floats]:
        if item not in self._known:
            history = self.facts.get(item)
            if history is None:
                unknown = np.full(len(self.days), np.nan)
                self._known[item] = (unknown, unknown)
            else:
                age_max = SHARES_AGE_DAYS_MAX if item == SHARES else FACT_AGE_DAYS_MAX
                self._known[item] = as_known(self.days, history.known, history.period_end, history.value, age_max)
        return self._known[item]


def _variance(sums: Floats, squares: Floats, window: int) -> Floats:
    # Rounding may leave a hair below zero where nothing moved.
    return np.maximum(squares - sums * sums / window, 0.0) / (window - 1)


@dataclass(frozen=True, eq=False)
class MarketHistory:
    """The market's sessions in order; every array has one entry a session.

    `returns`: equal-weight return of the universe. `series`: each of MACRO_LAG_DAYS as known
    on each evening; NaN where unknown or older than a week.
    """

    days: Days
    returns: Floats
    series: Mapping[str, Floats]

    @cached_property
    def log_returns(self) -> Floats:
        """Logarithm of one plus the market's return."""
        return np.log1p(self.returns)


@dataclass(frozen=True, eq=False)
class CrossSections:
    """Finished features of many stocks, day after day: all arrays run over the rows of all days, days in order.

    `day` numbers the days from 0, `sector` the sectors from 0 (-1: unknown); only rows with `member` are in the
    universe.
    """

    day: Integers
    sector: Integers
    member: Flags
    finished: Mapping[str, Floats32]

    @cached_property
    def days(self) -> int:
        """How many days there are."""
        return int(self.day[-1]) + 1 if len(self.day) else 0

    @cached_property
    def sector_group(self) -> Integers:
        """Number of the group of the same day and sector; -1 where the sector is unknown."""
        sectors = int(self.sector.max(initial=-1)) + 1
        return np.where(self.sector < 0, -1, self.day * sectors + self.sector)
