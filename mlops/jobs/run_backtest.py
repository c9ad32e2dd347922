"""What a strategy would have earned, on stored scores and the one simulator; asked for by a person, hypothetical."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from core.config import get_settings
from core.errors import DataMissing
from core.jobs import RunBacktest, Ticket
from core.progress import Progress, silent
from database.queries.bars import read_bars
from database.queries.charts import series_values
from database.queries.corporate_actions import read_dividends
from database.queries.index_memberships import read_memberships
from database.queries.instruments import instruments_by_id
from database.queries.regimes import readings_between
from database.queries.scores import read_out_of_fold
from database.queries.targets import read_night_ranks
from database.session import transaction
from features.library import FEATURES
from features.service import read_features
from ml_models.eligibility import filter_inputs, judge_day
from ml_models.recipes import RECIPES
from ml_models.rule import rank_by_rule
from mlops.rehearsal import (
    CASH_WEIGHT_MIN,
    Bools,
    Decided,
    Floats,
    changes,
    costs_times,
    decide,
    tell_result,
    tell_series,
    weigh,
    weigh_universe,
)
from quant.backtest import run_backtest
from quant.market import Market, lay_out_market
from registry import backtests

INDEX = "SPX"
STEPS = ("scores", "prices", "weights", "trading", "telling")
# Scores of folds and of the plain rule are a week apart.
_WEEK_SESSIONS = 5
# Calendar days that surely hold the optimisers' look-back and the volume average before it.
_LOOK_BACK = timedelta(days=400)
Ranks = Mapping[date, Sequence[int]]


@dataclass(frozen=True)
class _Stage:
    """What is traded: the market from a look-back before the period on, and who belonged to the universe."""

    market: Market
    adj_close: Floats
    member: Bools

    @property
    def sessions(self) -> list[date]:
        days: list[date] = self.market.sessions.tolist()
        return days


def run(job: RunBacktest, *, progress: Progress = silent) -> dict[str, dict[str, Any]]:
    """measures, series and trades of the back-test, as JSON. DataMissing where nothing can be decided."""
    tell = _teller(progress)
    tell("scores", 0, 1)
    ranks = _ranks(job, tell)
    tell("prices", 0, 1)
    stage = _stage(job)
    decided = decide(
        {day: ids for day, ids in ranks.items() if day >= job.from_on},
        stage.sessions,
        stage.market.instrument_ids,
        stage.market.prices.close,
        stocks=job.stocks,
        every=job.rebalance_sessions,
    )
    if not len(decided.places):
        raise DataMissing(
            f"{job.strategy} has no {job.scores} scores of stocks with prices from {job.from_on} to {job.to_on}"
        )
    weights = weigh(
        decided,
        stage.adj_close,
        optimiser=job.optimiser,
        position_weight_max=job.position_weight_max,
        tell=lambda done, total: tell("weights", done, total),
    )
    tell("trading", 0, 2)
    own = _trade(job, stage, decided, weights)
    tell("trading", 1, 2)
    universe = _trade(job, stage, decided, weigh_universe(decided, stage.member))
    tell("telling", 0, 1)
    with transaction() as session:
        beside = backtests.standing_of(session, strategy=job.strategy)
        regimes = readings_between(
            session, detector=get_settings().regime_detector, first_on=job.from_on, last_on=job.to_on
        )
        index = series_values(session, series=INDEX, first_on=job.from_on, last_on=job.to_on)
        symbols = instruments_by_id(session, ids=stage.market.instrument_ids.tolist())
    found = tell_result(own, universe, decided, stage.sessions, trials=beside["trials"] + beside["backtests"])
    start = int(decided.places[0])
    labels = {day: label for day, label, _ in regimes}
    tell("telling", 1, 1)
    return {
        "measures": {"hypothetical": True, **found, **beside, "caveats": _caveats(job, found, beside)},
        "series": tell_series(own, universe, start, stage.sessions, index=index, regimes=labels),
        "trades": _trades(decided, weights, stage, {key: row.symbol for key, row in symbols.items()}),
    }


def perform(job: RunBacktest, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in: what comes out is kept with what was asked."""
    found = run(job, progress=ticket.progress)
    with transaction() as session:
        backtests.keep(session, job_id=ticket.origin_id, **found)
    portfolio = found["measures"]["portfolio"]
    return {"total_return": portfolio["total_return"], "sharpe": portfolio["sharpe"], "hypothetical": True}


def _teller(progress: Progress) -> Callable[[str, int, int], None]:
    """Progress over all steps, each counted alike."""

    def tell(step: str, done: int, total: int) -> None:
        share = STEPS.index(step) + done / max(total, 1)
        progress(f"back-test: {step}", round(100 * share), 100 * len(STEPS))

    return tell


def _ranks(job: RunBacktest, tell: Callable[[str, int, int], None]) -> Ranks:
    if job.scores == "out_of_fold":
        frame = read_out_of_fold(as_of=job.to_on, strategies=[job.strategy], first_on=job.from_on)
        best = frame.sort("session_on", pl.col("score"), "instrument_id", descending=[False, True, False])
        return dict(best.group_by("session_on", maintain_order=True).agg("instrument_id").iter_rows())
    if job.scores == "served":
        with transaction() as session:
            nights = read_night_ranks(session, first_on=job.from_on, last_on=job.to_on, rank_max=job.stocks)
        return {day: ids for strategy, day, ids in nights if strategy == job.strategy}
    return _rule_ranks(job, tell)


def _rule_ranks(job: RunBacktest, tell: Callable[[str, int, int], None]) -> Ranks:
    """The plain rule's order of every fifth session's eligible stocks; a session that is refused has none."""
    recipe = RECIPES[job.strategy]
    names = tuple(dict.fromkeys((*filter_inputs(recipe), *(term.feature for term in recipe.rule))))
    features = tuple(FEATURES[name] for name in names)
    ranks: dict[date, list[int]] = {}
    years = range(job.from_on.year, job.to_on.year + 1)
    for done, year in enumerate(years):
        tell("scores", done, len(years))
        first, last = max(job.from_on, date(year, 1, 1)), min(job.to_on, date(year, 12, 31))
        frame = read_features(as_of=last, first_on=first, columns=names).filter("in_universe")
        weekly = frame["session_on"].unique().sort().gather_every(_WEEK_SESSIONS)
        days = frame.filter(pl.col("session_on").is_in(weekly.implode()))
        for (day,), rows in days.group_by("session_on", maintain_order=True):
            X = np.ascontiguousarray(rows.select(names).to_numpy(), dtype=np.float32)
            judged = judge_day(recipe, {name: X[:, place] for place, name in enumerate(names)})
            if judged.reason is None and judged.mask.any():
                ids = rows["instrument_id"].to_numpy()[judged.mask]
                margins = rank_by_rule(recipe, X[judged.mask], features)
                assert isinstance(day, date)
                ranks[day] = ids[np.lexsort((ids, -margins))].tolist()
    return ranks


def _stage(job: RunBacktest) -> _Stage:
    bars = read_bars(
        as_of=job.to_on, first_on=job.from_on - _LOOK_BACK, columns=("open", "close", "adj_close", "volume")
    )
    if bars.is_empty():
        raise DataMissing(f"no bars are loaded from {job.from_on} to {job.to_on}")
    market = lay_out_market(bars, read_dividends(as_of=job.to_on))
    shape = market.prices.close.shape
    adjusted = np.full(shape, np.nan)
    row = np.searchsorted(market.sessions, bars["session_on"].to_numpy().astype("datetime64[D]"))
    column = np.searchsorted(market.instrument_ids, bars["instrument_id"].to_numpy())
    adjusted[row, column] = bars["adj_close"].to_numpy()
    member = np.zeros(shape, dtype=bool)
    place = {int(key): column for column, key in enumerate(market.instrument_ids)}
    for key, start_on, end_on in read_memberships(as_of=job.to_on).iter_rows():
        if key in place:
            begins = np.searchsorted(market.sessions, np.datetime64(start_on))
            ends = shape[0] if end_on is None else np.searchsorted(market.sessions, np.datetime64(end_on))
            member[begins:ends, place[key]] = True
    return _Stage(market, adjusted, member & (market.prices.close > 0))


def _trade(job: RunBacktest, stage: _Stage, decided: Decided, weights: Floats) -> Any:
    return run_backtest(
        stage.market.prices,
        decided=decided.places,
        weights=weights,
        cash_usd=job.cash_usd,
        cash_weight_min=CASH_WEIGHT_MIN,
        costs=costs_times(job.cost_multiple),
    )


def _trades(decided: Decided, weights: Floats, stage: _Stage, symbols: Mapping[int, str]) -> dict[str, list[Any]]:
    by_column = {column: symbols[int(key)] for column, key in enumerate(stage.market.instrument_ids)}
    columns: dict[str, list[Any]] = {
        name: [] for name in ("decided_on", "filled_on", "symbol", "weight_before", "weight_after", "price_usd")
    }
    for day, fill, symbol, before, after, price in changes(
        decided, weights, stage.sessions, by_column, stage.market.prices.open
    ):
        values = (day.isoformat(), fill.isoformat(), symbol, round(before, 6), round(after, 6), price)
        for name, value in zip(columns, values, strict=True):
            columns[name].append(value)
    return columns


def _caveats(job: RunBacktest, found: Mapping[str, Any], beside: Mapping[str, Any]) -> list[str]:
    """What a reader must know before believing a figure."""
    gate = beside["gate"]
    told = [
        "Hypothetical: nobody held this portfolio; it was traded on paper at past prices"
        f" with {job.cost_multiple:g} times the standard costs.",
        f"{beside['trials']} configurations of screeners were tried and {beside['backtests']} back-tests of this"
        " strategy asked for: the best of many looks good by chance.",
        "Companies without stored prices are missing, mostly those that failed: both the portfolio and the universe"
        " look better than they were.",
    ]
    if job.scores == "plain_rule":
        told.append("The plain rule is not learned, and the gate does not judge it; who wrote it knew the literature.")
    elif gate is None:
        told.append("The gate has not judged the screener.")
    else:
        told.append(f"The gate says {gate['verdict'].replace('_', ' ')} as of {gate['as_of']}: {gate['reason']}")
    if found["portfolio"]["sharpe"] is None:
        told.append("Shorter than a year: nothing is annualised, and no Sharpe ratio is told.")
    return told
