"""What the allocator learns from: weekly decisions made of out-of-fold scores, features and regimes, and the prices.

Every score on a session comes from a fold that never saw it, every feature and regime from that evening.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from core.config import get_settings
from core.errors import DataMissing
from core.log import get_logger
from core.progress import Progress, silent
from database.queries.bars import read_bars
from database.queries.corporate_actions import read_dividends
from database.queries.macro_series import read_macro
from database.queries.regimes import read_regimes
from database.queries.scores import read_out_of_fold
from features.service import read_features
from rl_trading.observation import CONTEXT_COLUMNS, MARKET_FEATURES, STOCK_COLUMNS, STOCK_FEATURES
from rl_trading.windows import STOCKS, Decisions, Market

Ints = npt.NDArray[np.int64]
Floats32 = npt.NDArray[np.float32]
# Calendar days that hold the sessions which the simple allocators look back on, with room to spare.
HISTORY_DAYS = 400
_log = get_logger("rl_trading")


@dataclass(frozen=True)
class History:
    """The market, every strategy's decisions, the index (label, levels), and the regime read at each close."""

    market: Market
    decisions: tuple[Decisions, ...]
    index_label: str
    index_levels: npt.NDArray[np.float64]  # one for each session of the market, NaN where unknown
    regimes: npt.NDArray[np.str_]  # one for each session of the market, empty where there is none


def load_history(*, as_of: date, first_on: date, progress: Progress = silent) -> History:
    """Everything known on `as_of` from the first decision in [first_on, as_of] on, committed rows only.

    DataMissing where there are no scores, or scores without features or regimes of their session.
    """
    progress("reading scores", 0, 4)
    top = _top_scores(read_out_of_fold(as_of=as_of, first_on=first_on))
    if top.is_empty():
        raise DataMissing(f"no out-of-fold scores from {first_on} to {as_of}; train the screeners: acis train screener")
    progress("reading bars", 1, 4)
    market = _load_market(as_of, first_on)
    progress("reading features", 2, 4)
    table = _with_features(top, as_of)
    context = _contexts(table, as_of)
    table = table.join(context.select("session_on"), on="session_on", how="semi", maintain_order="left")
    progress("laying out decisions", 3, 4)
    decisions = tuple(
        _decisions(str(name), part, context, market)
        for (name,), part in table.group_by("strategy", maintain_order=True)
    )
    label, levels = _index(market, as_of)
    progress("laying out decisions", 4, 4)
    return History(market, decisions, label, levels, _labels(market, as_of))


def _top_scores(scores: pl.DataFrame) -> pl.DataFrame:
    """The best `STOCKS` of each strategy and session, with their places; ties go to the lower instrument_id."""
    group = ["strategy", "session_on"]
    return (
        scores.sort([*group, "score", "instrument_id"], descending=[False, False, True, False])
        .with_columns(pl.int_range(pl.len()).over(group).alias("slot"))
        .filter(pl.col("slot") < STOCKS)
    )


def _load_market(as_of: date, first_on: date) -> Market:
    first_on -= timedelta(days=HISTORY_DAYS)
    bars = read_bars(as_of=as_of, first_on=first_on, columns=("open", "close", "adj_close", "volume"))
    return Market.from_frames(bars, read_dividends(as_of=as_of))


def _with_features(top: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Year by year, so that no more than a year of the whole universe is in memory."""
    keys = ["instrument_id", "session_on"]
    parts = []
    for (year,), part in top.group_by(pl.col("session_on").dt.year(), maintain_order=True):
        last_on = min(date(int(str(year)), 12, 31), as_of)
        columns = (*STOCK_FEATURES, *MARKET_FEATURES)
        features = read_features(as_of=last_on, first_on=date(int(str(year)), 1, 1), columns=columns)
        parts.append(part.join(features.with_columns(pl.col("instrument_id").cast(pl.Int32)), on=keys, how="left"))
    return pl.concat(parts).sort("strategy", "session_on", "slot")


def _contexts(table: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """session_on and the context columns, one row a session; sessions whose regime cannot be read are left out."""
    known = (pl.col(name).drop_nulls().drop_nans().first() for name in MARKET_FEATURES)
    market = table.group_by("session_on").agg(known)
    regimes = read_regimes(as_of=as_of, detector=get_settings().regime_detector)
    joined = market.join(regimes, on="session_on", how="inner").sort("session_on")
    if len(joined) < len(market):
        _log.info("sessions without a regime are not learned from", sessions=len(market) - len(joined))
    if joined.is_empty():
        raise DataMissing("no session with scores has a regime; read the regimes first: acis regime")
    return joined.select("session_on", pl.col(CONTEXT_COLUMNS).cast(pl.Float32).fill_null(np.nan))


def _labels(market: Market, as_of: date) -> npt.NDArray[np.str_]:
    regimes = read_regimes(as_of=as_of, detector=get_settings().regime_detector)
    labels = dict(zip(regimes["session_on"].to_list(), regimes["label"].to_list(), strict=True))
    return np.array([labels.get(day, "") for day in market.sessions.astype(object).tolist()])


def _decisions(strategy: str, table: pl.DataFrame, context: pl.DataFrame, market: Market) -> Decisions:
    days = table["session_on"].unique().sort()
    index = np.searchsorted(market.sessions, days.to_numpy().astype("datetime64[D]"))
    row = np.searchsorted(days.to_numpy(), table["session_on"].to_numpy())
    slot = table["slot"].to_numpy()
    slots = np.full((len(days), STOCKS), -1, dtype=np.int64)
    slots[row, slot] = _known_slots(table["instrument_id"].to_numpy(), market)
    stocks = np.full((len(days), STOCKS, len(STOCK_COLUMNS)), np.nan, dtype=np.float32)
    stocks[row, slot] = stock_columns(table)
    seen = days.to_frame().join(context, on="session_on", how="left")
    return Decisions(
        strategy=strategy,
        session_index=index.astype(np.int64),
        slots=slots,
        stocks=stocks,
        context=seen.select(CONTEXT_COLUMNS).to_numpy(),
    )


def _known_slots(ids: npt.NDArray[np.int32], market: Market) -> npt.NDArray[np.int64]:
    """Columns of the market; -1 for an instrument that has no bar in it."""
    at = np.searchsorted(market.instrument_ids, ids).clip(max=len(market.instrument_ids) - 1)
    return np.where(market.instrument_ids[at] == ids, at, -1)


def places(slot: Ints, counts: Ints | int) -> npt.NDArray[np.float64]:
    """Places in a list of `counts` stocks, from 1 for the best to -1 for the last; 1 where there is only one."""
    return np.where(np.asarray(counts) > 1, 1.0 - 2.0 * slot / np.maximum(np.asarray(counts) - 1, 1), 1.0)


def stock_columns(table: pl.DataFrame) -> Floats32:
    """(rows, columns) of `STOCK_COLUMNS` from rows with score, session_on, slot and features; NaN where unknown."""
    counts = table.select(pl.len().over("session_on")).to_series().to_numpy()
    place = places(table["slot"].to_numpy(), counts)
    known = table.select("score", *STOCK_FEATURES).cast(pl.Float32).fill_null(np.nan).to_numpy()
    return np.insert(known, 1, place, axis=1).astype(np.float32)


def _index(market: Market, as_of: date) -> tuple[str, npt.NDArray[np.float64]]:
    """The fund on the index with its dividends; from the day it ends, the index itself grows it on."""
    macro = read_macro(as_of=as_of)
    fund, index = (_levels(macro, series, market.sessions) for series in ("SPY", "SPX"))
    known = np.flatnonzero(np.isfinite(fund) & np.isfinite(index))
    if not len(known):
        return "S&P 500 without dividends", index
    last = known[-1]
    grown = np.where(np.arange(len(fund)) > last, fund[last] * index / index[last], fund)
    return f"SPY with dividends to {market.sessions[last]}, the S&P 500 without them afterwards", grown


def _levels(macro: pl.DataFrame, series: str, sessions: npt.NDArray[np.datetime64]) -> npt.NDArray[np.float64]:
    frame = macro.filter(pl.col("series") == series)
    levels = np.full(len(sessions), np.nan)
    days = frame["observed_on"].to_numpy().astype("datetime64[D]")
    at = np.searchsorted(sessions, days).clip(max=len(sessions) - 1)
    found = sessions[at] == days
    levels[at[found]] = frame["value"].to_numpy()[found]
    return levels
