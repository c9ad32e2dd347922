"""What each strategy's best-ranked stocks really earned lately, after costs, beside the universe.

Every 21 sessions of the last 63 the strategy's 50 best-ranked stocks are bought in equal weights at the next open,
on the shared simulator; the universe is bought the same way. What counts are the screens that the nights served, and
before the first of them the out-of-fold scores of a strategy whose screener is champion. A strategy that has neither
is not known: what nobody may be served from is no performance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from database.queries.bars import read_bars
from database.queries.corporate_actions import read_dividends
from database.queries.index_memberships import read_memberships
from database.queries.models import STANDARD_SCREENER
from database.queries.scores import read_out_of_fold
from database.queries.targets import read_night_ranks
from database.session import Session
from quant.backtest import Prices, run_backtest
from quant.market import lay_out_market
from quant.stats import measure_performance
from registry.roles import champions

WINDOW_SESSIONS = 63
REBALANCE_SESSIONS = 21
STOCKS = 50
# Out-of-fold scores are weekly: an anchor takes the newest ones of the seven sessions up to it.
_SCORE_AGE_SESSIONS_MAX = 7
# Calendar days that surely hold the window, the scores' age and the volume average before it.
_LOOK_BACK = timedelta(days=150)


@dataclass(frozen=True)
class Realised:
    """Total returns over the last `sessions`, net of costs; `excess_return` is what the universe did not earn."""

    sessions: int
    total_return: float
    universe_return: float
    excess_return: float
    annual_volatility: float
    drawdown_max: float
    turnover: float
    costs_usd: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON, rounded to what a person may compare."""
        return {name: round(value, 6) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Window:
    """Sessions up to the night, their prices (sessions x assets) and who belonged to the universe."""

    sessions: tuple[date, ...]
    instrument_ids: npt.NDArray[np.int32]
    prices: Prices
    member: npt.NDArray[np.bool_]


def realised_performance(session: Session, *, as_of: date, strategies: Sequence[str]) -> dict[str, Realised]:
    """By strategy, what its best-ranked stocks earned up to `as_of`; a strategy without scores has no entry."""
    window = _read_window(as_of)
    if len(window.sessions) <= REBALANCE_SESSIONS:
        return {}
    first_on = window.sessions[max(0, len(window.sessions) - 1 - WINDOW_SESSIONS - _SCORE_AGE_SESSIONS_MAX)]
    ranks = _read_ranks(session, first_on=first_on, as_of=as_of, strategies=strategies)
    return {
        strategy: realised
        for strategy, rows in sorted(ranks.items())
        if (realised := measure(window, rows)) is not None
    }


def measure(window: Window, ranks: Mapping[date, Sequence[int]]) -> Realised | None:
    """`ranks`: scored session -> instruments, best first. None without scores a rebalance ago or earlier."""
    last = len(window.sessions) - 1
    decided = _decisions(window, ranks)
    if not len(decided):
        return None
    own = np.zeros((len(decided), len(window.instrument_ids)))
    everyone = np.zeros_like(own)
    for row, place in enumerate(decided):
        best = np.array(ranks[window.sessions[place]][:STOCKS])
        picked = np.isin(window.instrument_ids, best) & (window.prices.close[place] > 0)
        own[row] = picked / max(picked.sum(), 1)
        everyone[row] = window.member[place] / max(window.member[place].sum(), 1)
    mine = run_backtest(window.prices, decided=decided, weights=own)
    universe = run_backtest(window.prices, decided=decided, weights=everyone)
    start = int(decided[0])
    path = measure_performance(mine.values_usd[start:])
    theirs = measure_performance(universe.values_usd[start:])
    return Realised(
        sessions=last - start,
        total_return=path.total_return,
        universe_return=theirs.total_return,
        excess_return=path.total_return - theirs.total_return,
        annual_volatility=path.annual_volatility,
        drawdown_max=path.drawdown_max,
        turnover=float(mine.turnover.sum()),
        costs_usd=float(mine.costs_usd.sum()),
    )


def _decisions(window: Window, ranks: Mapping[date, Sequence[int]]) -> npt.NDArray[np.int64]:
    """Places of the scored sessions nearest to the anchors 63, 42 and 21 sessions ago, not after them."""
    last = len(window.sessions) - 1
    found: set[int] = set()
    for back in range(WINDOW_SESSIONS, 0, -REBALANCE_SESSIONS):
        anchor = last - back
        scored = (place for place in range(anchor, anchor - _SCORE_AGE_SESSIONS_MAX, -1) if place >= 0)
        nearest = next((place for place in scored if window.sessions[place] in ranks), None)
        if nearest is not None:
            found.add(nearest)
    return np.array(sorted(found), dtype=np.int64)


def _read_ranks(
    session: Session, *, first_on: date, as_of: date, strategies: Sequence[str]
) -> dict[str, dict[date, Sequence[int]]]:
    """Strategy -> scored session -> instruments, best first: what was served, else what a champion would have said."""
    ranks: dict[str, dict[date, Sequence[int]]] = {}
    for strategy, session_on, ids in read_night_ranks(session, first_on=first_on, last_on=as_of, rank_max=STOCKS):
        ranks.setdefault(strategy, {})[session_on] = ids
    # Before the first nights a champion has its out-of-fold past; what nobody may be served from is no performance.
    in_office = champions(session, kind="screener", as_of=as_of)
    known = [name for name in strategies if name in in_office and in_office[name].algorithm == STANDARD_SCREENER]
    if not known:
        return ranks
    out_of_fold = read_out_of_fold(as_of=as_of, strategies=known, first_on=first_on).sort(
        "strategy", "session_on", pl.col("score"), "instrument_id", descending=[False, False, True, False]
    )
    for strategy, session_on, ids in (
        out_of_fold.group_by("strategy", "session_on", maintain_order=True).agg(pl.col("instrument_id").head(STOCKS))
    ).iter_rows():
        ranks.setdefault(strategy, {}).setdefault(session_on, ids)
    return ranks


def _read_window(as_of: date) -> Window:
    first_on = as_of - _LOOK_BACK
    bars = read_bars(as_of=as_of, first_on=first_on, columns=("open", "close", "volume"))
    market = lay_out_market(bars, read_dividends(as_of=as_of))
    return Window(
        sessions=tuple(market.sessions.tolist()),
        instrument_ids=market.instrument_ids,
        prices=market.prices,
        member=_lay_out_members(market.sessions, market.instrument_ids, as_of) & (market.prices.close > 0),
    )


def _lay_out_members(
    days: npt.NDArray[np.datetime64], ids: npt.NDArray[np.int32], as_of: date
) -> npt.NDArray[np.bool_]:
    member = np.zeros((len(days), len(ids)), dtype=bool)
    place = {int(instrument_id): column for column, instrument_id in enumerate(ids)}
    for instrument_id, start_on, end_on in read_memberships(as_of=as_of).iter_rows():
        if instrument_id in place:
            first = np.searchsorted(days, np.datetime64(start_on))
            last = len(days) if end_on is None else np.searchsorted(days, np.datetime64(end_on))
            member[first:last, place[instrument_id]] = True
    return member
