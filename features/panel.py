"""The inputs of a build as arrays: bars of many stocks beside memberships, reports and macro series."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from features.arrays import Days, Flags, Floats, Integers
from features.facts import FACT_LAG_DAYS, NEVER_ZERO, SHARES, FactHistory
from features.history import MACRO_LAG_DAYS, MarketHistory, StockHistory

_PRICES = ("open", "high", "low", "close", "adj_close", "volume")
# Newer bars without newer macro data must not be judged by old fear: after a week the value counts as unknown.
_MACRO_AGE_DAYS_MAX = 7


@dataclass(frozen=True, eq=False)
class Panel:
    """Bars of many stocks, one row a stock and session, sorted by both.

    `session` is the place of the row's session in `days`; `bounds` holds the first row of each stock and, at the end,
    the number of rows. `sector` numbers the stocks' sectors (-1: unknown) as named by `sectors`. `columns` holds open,
    high, low, close, adj_close, volume and dividend; `facts` the reports of each stock by the stock's number.
    """

    days: Days
    session: Integers
    instrument_id: Integers
    bounds: Integers
    sector: Integers
    sectors: tuple[str, ...]
    member: Flags
    columns: Mapping[str, Floats]
    facts: Mapping[int, Mapping[str, FactHistory]]
    series: Mapping[str, Floats]

    @cached_property
    def market_returns(self) -> Floats:
        """Equal-weight total return of the universe, one value a session; NaN where no member has one."""
        adj_close = self.columns["adj_close"]
        returns = np.full(len(adj_close), np.nan)
        with np.errstate(all="ignore"):
            returns[1:] = adj_close[1:] / adj_close[:-1] - 1.0
        returns[self.bounds[:-1]] = np.nan
        counted = self.member & np.isfinite(returns)
        count = np.bincount(self.session[counted], minlength=len(self.days))
        total = np.bincount(self.session[counted], weights=returns[counted], minlength=len(self.days))
        return total / np.where(count > 0, count, np.nan)

    def market(self) -> MarketHistory:
        """The market's own history."""
        return MarketHistory(days=self.days, returns=self.market_returns, series=self.series)

    def stocks(self) -> Iterator[StockHistory]:
        """The stocks' histories, in the order of their rows."""
        for number, (start, stop) in enumerate(zip(self.bounds[:-1], self.bounds[1:], strict=True)):
            session = self.session[start:stop]
            yield StockHistory(
                days=self.days[session],
                market_returns=_market_between(self.market_returns, session),
                facts=self.facts.get(number, {}),
                **{name: values[start:stop] for name, values in self.columns.items()},
            )


def _market_between(market_returns: Floats, session: Integers) -> Floats:
    """The market's return from the stock's session before to each of its sessions."""
    returns = market_returns[session]
    for row in np.flatnonzero(np.diff(session) > 1) + 1:
        missed = market_returns[session[row - 1] + 1 : session[row] + 1]
        returns[row] = np.prod(1.0 + missed) - 1.0
    return returns


def assemble(
    *,
    bars: pl.DataFrame,
    instruments: pl.DataFrame,
    memberships: pl.DataFrame,
    dividends: pl.DataFrame,
    facts: pl.DataFrame,
    shares: pl.DataFrame,
    macro: pl.DataFrame,
) -> Panel:
    """Arrays of the frames that `database.queries` reads under the same names, `shares` being the market caps.

    `bars` is sorted by instrument_id, session_on and holds no other kind than stocks.
    """
    instrument_id = bars["instrument_id"].to_numpy().astype(np.int64)
    day = _days(bars["session_on"])
    starts = np.flatnonzero(np.diff(instrument_id, prepend=-1))
    bounds = np.append(starts, len(instrument_id))
    days, session = np.unique(day, return_inverse=True)
    ids = instrument_id[starts]
    columns = {name: bars[name].to_numpy().astype(np.float64) for name in _PRICES}
    sector, sectors = _sectors(ids, instruments)
    return Panel(
        days=days,
        session=session,
        instrument_id=instrument_id,
        bounds=bounds,
        sector=sector,
        sectors=sectors,
        member=_members(ids, bounds, day, memberships),
        columns=columns | {"dividend": _dividends(ids, bounds, day, dividends)},
        facts=_facts(ids, facts, shares),
        series={name: _as_known(days, macro, name, lag) for name, lag in MACRO_LAG_DAYS.items()},
    )


def _days(dates: pl.Series) -> Days:
    return dates.cast(pl.Int32).to_numpy().astype(np.int64)


def _number_of(ids: Integers, wanted: Integers) -> Integers:
    """Place of each wanted id in the sorted `ids`; -1 where it is not there."""
    place = np.searchsorted(ids, wanted)
    found = place < len(ids)
    found[found] = ids[place[found]] == wanted[found]
    return np.where(found, place, -1)


def _sectors(ids: Integers, instruments: pl.DataFrame) -> tuple[Integers, tuple[str, ...]]:
    sectors = tuple(sorted(instruments["sector"].drop_nulls().unique()))
    number = {name: place for place, name in enumerate(sectors)}
    by_id = dict(zip(instruments["instrument_id"], instruments["sector"], strict=True))
    return np.array([number.get(by_id.get(int(stock)) or "", -1) for stock in ids], dtype=np.int64), sectors


def _members(ids: Integers, bounds: Integers, day: Days, memberships: pl.DataFrame) -> Flags:
    member = np.zeros(len(day), dtype=np.bool_)
    stocks = _number_of(ids, memberships["instrument_id"].to_numpy().astype(np.int64))
    starts = _days(memberships["start_on"])
    ends = memberships["end_on"].cast(pl.Int32).fill_null(2**31 - 1).to_numpy()
    for stock, start_on, end_on in zip(stocks, starts, ends, strict=True):
        if stock >= 0:
            rows = slice(bounds[stock], bounds[stock + 1])
            first, last = np.searchsorted(day[rows], (start_on, end_on))
            member[rows.start + first : rows.start + last] = True
    return member


def _dividends(ids: Integers, bounds: Integers, day: Days, dividends: pl.DataFrame) -> Floats:
    """Dividends on the stock's first session that is not before the ex-date; those before the panel are nobody's."""
    stocks = _number_of(ids, dividends["instrument_id"].to_numpy().astype(np.int64))
    ex_on, amounts = _days(dividends["ex_on"]), dividends["amount_usd"].to_numpy()
    within = (stocks >= 0) & (ex_on <= day.max(initial=0)) & (ex_on >= day[bounds[:-1]][stocks])
    stocks, ex_on, amounts = stocks[within], ex_on[within], amounts[within]
    # Stock and day as one number, ascending over the rows.
    span = int(day.max(initial=0)) + 1
    number_of_row = np.repeat(np.arange(len(ids)), np.diff(bounds))
    place = np.searchsorted(number_of_row * span + day, stocks * span + ex_on)
    paid = np.zeros(len(day))
    reached = place < bounds[stocks + 1]
    np.add.at(paid, place[reached], amounts[reached])
    return paid


def _facts(ids: Integers, facts: pl.DataFrame, shares: pl.DataFrame) -> dict[int, dict[str, FactHistory]]:
    counted = shares.select(
        "instrument_id",
        pl.lit(SHARES).alias("item"),
        "period_end_on",
        "known_on",
        pl.col("shares_outstanding").alias("value"),
    )
    together = (
        pl.concat([facts.select(counted.columns), counted], how="vertical_relaxed")
        .with_columns(
            pl.max_horizontal("known_on", pl.col("period_end_on").dt.offset_by(f"{FACT_LAG_DAYS}d")).alias("known_on"),
            pl.when(pl.col("item").is_in(sorted(NEVER_ZERO)) & (pl.col("value") == 0.0))
            .then(float("nan"))
            .otherwise(pl.col("value"))
            .alias("value"),
        )
        .sort("instrument_id", "item", "known_on", "period_end_on")
    )
    stocks = _number_of(ids, together["instrument_id"].to_numpy().astype(np.int64))
    known, period_end = _days(together["known_on"]), _days(together["period_end_on"])
    values = together["value"].to_numpy()
    changes = together.select(pl.struct("instrument_id", "item").rle_id())["instrument_id"].to_numpy()
    starts = np.flatnonzero(np.diff(changes.astype(np.int64), prepend=-1))
    stops = np.append(starts, len(changes))[1:]
    found: dict[int, dict[str, FactHistory]] = {}
    for item, start, stop in zip(together["item"].gather(starts), starts, stops, strict=True):
        if stocks[start] >= 0:
            history = FactHistory(known[start:stop], period_end[start:stop], values[start:stop])
            found.setdefault(int(stocks[start]), {})[item] = history
    return found


def _as_known(days: Days, macro: pl.DataFrame, series: str, lag_days: int) -> Floats:
    """The newest observation that was known on each day."""
    rows = macro.filter(pl.col("series") == series)
    observed, value = _days(rows["observed_on"]), rows["value"].to_numpy().astype(np.float64)
    known = np.maximum(_days(rows["known_on"]), observed + lag_days)
    order = np.lexsort((observed, known))
    known, observed, value = known[order], observed[order], value[order]
    # A late correction of an older day must not hide the newest day.
    newest = np.maximum.accumulate(np.where(observed == np.maximum.accumulate(observed), np.arange(len(observed)), 0))
    place = np.searchsorted(known, days, side="right") - 1
    out = np.full(len(days), np.nan)
    some = place >= 0
    chosen = newest[place[some]]
    fresh = days[some] - observed[chosen] <= _MACRO_AGE_DAYS_MAX
    out[some] = np.where(fresh, value[chosen], np.nan)
    return out
