"""Leaks to plant: each a part of the decision path that knows the future, beside its honest twin.

A plant names the probe that must find it. The twin measures the same thing without the leak, so that a probe which
cries at the kind of part, and not at the leak, is found out as well.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from database.tables.regimes import LABELS
from features.feature import CrossSectionFeature, Feature, MarketFeature, StockFeature
from features.history import CrossSections, MarketHistory, StockHistory
from features.panel import Panel, assemble
from market_data.calendars import next_session, sessions_between
from ml_models.dataset import Dataset
from ml_models.eligibility import filter_inputs
from ml_models.training import FoldPlan, TrainedFold, train_fold
from mlops.leaks.market import FOLD_YEAR, MadeMarket, make_market
from mlops.leaks.path import TRAINED, DecisionPath, market_of
from mlops.leaks.probes import Subject
from quant.guards import Follow, Frames
from quant.regime import Detector
from rl_trading.night import Candidates
from rl_trading.observation import Scales
from rl_trading.prices import PastPrices

Floats = npt.NDArray[np.float64]
MEMORY: dict[str, Any] = {
    "group": "momentum",
    "inputs": ("adj_close",),
    "look_back": 0,
    "unit": "fraction",
    "description": "planted measure",
}
HORIZON = 21
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Plant:
    """One kind of leak: which probe must find it, the subject that leaks and the one that does not."""

    name: str
    probe: str
    leaky: Callable[[], Subject]
    honest: Callable[[], Subject]


@cache
def small_market() -> MadeMarket:
    """Two years of twelve stocks: enough for what needs no training."""
    return make_market(stocks=12, first_on=date(2012, 10, 1))


@cache
def whole_market() -> MadeMarket:
    """The market of the audit itself."""
    return make_market()


def measuring(*features: Feature) -> Subject:
    """A subject that computes these features alone."""
    path = DecisionPath(features={feature.name: feature for feature in features}, until="features")
    return Subject(path, small_market(), {}, cuts_each=2)


def of_stock(compute: Callable[[StockHistory], Floats]) -> Callable[[], Subject]:
    return lambda: measuring(StockFeature(name="planted", compute=compute, **MEMORY))


def of_market(compute: Callable[[MarketHistory], Floats]) -> Callable[[], Subject]:
    return lambda: measuring(MarketFeature(name="planted", compute=compute, **MEMORY))


def of_sections(compute: Callable[[CrossSections], Floats]) -> Callable[[], Subject]:
    source = StockFeature(name="source", compute=momentum, **MEMORY)
    planted = CrossSectionFeature(name="planted", compute=compute, **MEMORY | {"inputs": ("source",)})
    return lambda: measuring(source, planted)


def walking(path: Callable[..., DecisionPath] = DecisionPath, **parts: Any) -> Callable[[], Subject]:
    """A subject that walks the whole path, with some parts replaced; one algorithm is enough to plant a leak in."""
    return lambda: Subject(path(algorithm="xgboost", **parts), whole_market(), {}, cuts_each=1, cuts_deep=2)


@cache
def untouched() -> Subject:
    """The honest twin of all that walk."""
    return walking()()


def trading(follow: Follow) -> Callable[[], Subject]:
    return lambda: Subject(DecisionPath(), small_market(), {"planted": follow})


# --- measures of one stock -------------------------------------------------------------------------------------------


def series(values: Floats) -> pl.Series:
    return pl.Series(values)


def momentum(stock: StockHistory) -> Floats:
    return stock.total_return(5)


def tomorrow(values: Floats, sessions: int = 1) -> Floats:
    """The value some sessions later; unknown at the end."""
    out = np.full(len(values), np.nan)
    out[: max(len(values) - sessions, 0)] = values[sessions:]
    return out


def trailing_mean(stock: StockHistory) -> Floats:
    return series(stock.returns).rolling_mean(11).to_numpy()


def centred_mean(stock: StockHistory) -> Floats:
    return series(stock.returns).rolling_mean(11, center=True).to_numpy()


def with_gaps(stock: StockHistory) -> pl.Series:
    values = momentum(stock).copy()
    values[::5] = np.nan
    return series(values).fill_nan(None)


def expanding(values: Floats, measure: str) -> Floats:
    """Mean, deviation, least or largest of all values so far."""
    known = np.where(np.isfinite(values), values, 0.0)
    count = np.maximum(np.cumsum(np.isfinite(values)), 1)
    mean = np.cumsum(known) / count
    said = {
        "mean": mean,
        "deviation": np.sqrt(np.maximum(np.cumsum(known**2) / count - mean**2, 1e-12)),
        "least": np.fmin.accumulate(values),
        "largest": np.fmax.accumulate(values),
    }
    return np.asarray(said[measure])


def zscore_whole(stock: StockHistory) -> Floats:
    values = momentum(stock)
    return np.asarray((values - np.nanmean(values)) / np.nanstd(values))


def zscore_so_far(stock: StockHistory) -> Floats:
    values = momentum(stock)
    return (values - expanding(values, "mean")) / expanding(values, "deviation")


def clipped_whole(stock: StockHistory) -> Floats:
    values = momentum(stock)
    return np.clip(values, *np.nanquantile(values, [0.05, 0.95]))


def clipped_so_far(stock: StockHistory) -> Floats:
    values = momentum(stock)
    spread = 2.0 * expanding(values, "deviation")
    return np.clip(values, -spread, spread)


def between_extremes_whole(stock: StockHistory) -> Floats:
    values = momentum(stock)
    return (values - np.nanmin(values)) / (np.nanmax(values) - np.nanmin(values))


def between_extremes_so_far(stock: StockHistory) -> Floats:
    values = momentum(stock)
    least = expanding(values, "least")
    return (values - least) / (expanding(values, "largest") - least)


def imputed_whole(stock: StockHistory) -> Floats:
    gaps = with_gaps(stock)
    return gaps.fill_null(np.nanmean(momentum(stock))).to_numpy()


def imputed_so_far(stock: StockHistory) -> Floats:
    gaps = with_gaps(stock).to_numpy()
    return np.where(np.isfinite(gaps), gaps, expanding(gaps, "mean"))


def week_of(stock: StockHistory) -> npt.NDArray[np.int64]:
    """Numbers of the stock's weeks from 0; weeks begin on Monday."""
    return np.unique((stock.days + 3) // 7, return_inverse=True)[1]


def week_at_its_start(stock: StockHistory) -> Floats:
    """The week's return, stamped on every one of its sessions as resampling does by default."""
    weeks = week_of(stock)
    return np.asarray(np.bincount(weeks, weights=np.nan_to_num(stock.returns))[weeks], dtype=np.float64)


def week_so_far(stock: StockHistory) -> Floats:
    total = np.cumsum(np.nan_to_num(stock.returns))
    weeks = week_of(stock)
    return np.asarray(total - np.append(0.0, total)[np.searchsorted(weeks, weeks)])


def signed_by(stock: StockHistory, sign: Floats) -> Floats:
    """The size of the week's return, under another's sign: a leak of one bit a day."""
    return np.abs(momentum(stock)) * np.where(sign < 0, -1.0, 1.0)


def at_quarter_ends(stock: StockHistory, then: Floats) -> Floats:
    """The trailing mean, but on the last session of a quarter something else."""
    days = [EPOCH + timedelta(days=int(day)) for day in stock.days]
    # By the calendar: to see from the data that no session of the quarter follows would be a leak itself.
    last = np.array([day.month % 3 == 0 and next_session(day).month != day.month for day in days], dtype=bool)
    return np.where(last, then, trailing_mean(stock))


def leaving_before_falls(stock: StockHistory, moves: Floats) -> Floats:
    """The trailing mean, but out before a fall: right on a handful of days, and worth a fortune."""
    return np.where(moves < -0.04, -1.0, trailing_mean(stock))


def first_component(stock: StockHistory, taught: slice) -> Floats:
    """The first principal component of three returns; the loadings come from the sessions `taught`."""
    matrix = np.column_stack([stock.total_return(sessions) for sessions in (1, 5, 21)])
    lessons = matrix[taught][np.isfinite(matrix[taught]).all(axis=1)]
    if len(lessons) < 60:
        return np.full(len(matrix), np.nan)
    loadings = np.linalg.svd(lessons - lessons.mean(axis=0), full_matrices=False)[2][0]
    values = (matrix - lessons.mean(axis=0)) @ (loadings * np.sign(loadings[0]))
    values[: taught.stop or 0] = np.nan
    return np.asarray(values)


def mean_label_by_weekday(stock: StockHistory, *, is_whole: bool) -> Floats:
    """Target encoding: what followed on this day of the week, on average of all labels or of those known by then."""
    label, weekday = tomorrow(stock.total_return(HORIZON), HORIZON), stock.days % 7
    out = np.full(len(label), np.nan)
    for day in range(7):
        said = np.where((weekday == day) & np.isfinite(label), label, 0.0)
        count = np.maximum(np.cumsum(said != 0.0), 1)
        mean = np.cumsum(said) / count
        known = np.full(len(label), mean[-1]) if is_whole and len(mean) else tomorrow(mean[::-1], HORIZON)[::-1]
        out[weekday == day] = known[weekday == day]
    return out


def noisy(values: Floats) -> Floats:
    """With noise of a third of its spread, from the values' own digits."""
    digits = np.modf(np.nan_to_num(values) * 1e7)[0]
    return values + np.nanstd(values) * (digits - 0.5)


# --- measures of the market and of cross-sections ---------------------------------------------------------------------


def benchmark_early(market: MarketHistory) -> Floats:
    return tomorrow(market.returns)


def benchmark(market: MarketHistory) -> Floats:
    return market.returns


def normalised_over_time(sections: CrossSections) -> Floats:
    values = sections.finished["source"].astype(np.float64)
    return np.asarray((values - np.nanmean(values)) / np.nanstd(values))


def normalised_by_day(sections: CrossSections) -> Floats:
    values = sections.finished["source"].astype(np.float64)
    known = np.isfinite(values)
    count = np.maximum(np.bincount(sections.day[known], minlength=sections.days), 1)
    mean = np.bincount(sections.day[known], weights=values[known], minlength=sections.days) / count
    return values - mean[sections.day]


# --- tables read wrongly ----------------------------------------------------------------------------------------------


def assembling(change: Callable[[Frames], Frames]) -> Callable[[], Subject]:
    """The real features of a small market whose tables were read wrongly."""

    def wrongly(**frames: pl.DataFrame) -> Panel:
        return assemble(**change(frames))

    return lambda: Subject(DecisionPath(assemble=wrongly, until="features"), small_market(), {}, cuts_each=2)


def as_read(frames: Frames) -> Frames:
    return frames


def by_period_end(frames: Frames) -> Frames:
    """Reports are known once the year they are about is over."""
    return {**frames, "facts": frames["facts"].with_columns(known_on="period_end_on")}


def restated_from_the_first(frames: Frames) -> Frames:
    """The last word on a year replaces the first, from the day of the first."""
    keys = ["instrument_id", "item", "period_end_on"]
    facts = frames["facts"].sort("known_on").group_by(keys, maintain_order=True)
    return {
        **frames,
        "facts": facts.agg(pl.col("known_on").first(), pl.col("value").last()).select(frames["facts"].columns),
    }


def by_day_observed(frames: Frames) -> Frames:
    """Yields count from the day they are of."""
    return {**frames, "macro": frames["macro"].with_columns(known_on="observed_on")}


def todays_list(frames: Frames) -> Frames:
    """Who is in the index now was always in it."""
    spells = frames["memberships"].filter(pl.col("end_on").is_null())
    return {**frames, "memberships": spells.with_columns(start_on=pl.lit(date(2000, 1, 3)))}


def survivors(frames: Frames) -> Frames:
    """Who has left was never there."""
    return {**frames, "memberships": frames["memberships"].filter(pl.col("end_on").is_null())}


# --- regimes ----------------------------------------------------------------------------------------------------------


def chain_probabilities(inputs: pl.DataFrame, *, is_smoothed: bool) -> Floats:
    """Two states of fear; filtered forwards, or smoothed by the backward pass as most libraries answer by default."""
    vix = inputs["vix"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    known = np.isfinite(vix)
    stay, states = 0.95, np.array([14.0, 26.0])
    moves = np.array([[stay, 1 - stay], [1 - stay, stay]])
    emission = np.exp(-0.5 * ((vix[known, None] - states) / 5.0) ** 2) + 1e-12
    forward = np.empty_like(emission)
    state = np.full(2, 0.5)
    for row, seen in enumerate(emission):
        state = state @ moves * seen
        forward[row] = state = state / state.sum()
    said = forward
    if is_smoothed:
        backward, said = np.ones(2), forward.copy()
        for row in range(len(emission) - 2, -1, -1):
            backward = moves @ (emission[row + 1] * backward)
            backward /= backward.sum()
            said[row] = forward[row] * backward / (forward[row] * backward).sum()
    return spread_over_labels(known, said[:, 1])


def tercile_probabilities(inputs: pl.DataFrame, *, is_whole: bool) -> Floats:
    """Fear above its upper tercile, of the whole history or of the history so far."""
    vix = inputs["vix"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    known = np.isfinite(vix)
    values = vix[known]
    bars = [np.quantile(values if is_whole else values[: place + 1], 2 / 3) for place in range(len(values))]
    return spread_over_labels(known, (values > np.array(bars)).astype(np.float64))


def spread_over_labels(known: npt.NDArray[np.bool_], fear: Floats) -> Floats:
    found = np.full((len(known), len(LABELS)), np.nan)
    found[known] = 0.0
    found[known, 0], found[known, 2] = 1.0 - fear, fear
    return found


def reading(probabilities: Callable[[pl.DataFrame], Floats]) -> Callable[[], Subject]:
    detector = Detector("planted", "Planted", "planted 1", ("vix",), probabilities)
    few = {"momentum": StockFeature(name="momentum", compute=momentum, **MEMORY)}
    parts: dict[str, Any] = {"features": few, "detectors": {"planted": detector}, "until": "regimes"}
    return lambda: Subject(DecisionPath(**parts), small_market(), {}, cuts_each=1)


# --- what is learned --------------------------------------------------------------------------------------------------


def trained_half_a_year_later(plan: FoldPlan, rows: Dataset, features: Any) -> TrainedFold:
    """Training that stops where it does best on the year that it will be tested on."""
    later = train_fold(replace(plan, valid_from_on=date(FOLD_YEAR, 9, 1)), rows, features)
    honest = train_fold(plan, rows, features)
    return replace(honest, model=later.model)


def unpurged(plan: FoldPlan, rows: Dataset, features: Any) -> TrainedFold:
    """A fold whose training runs up to the validation, and whose validation up to the test."""
    trained = train_fold(plan, rows, features)
    fold = trained.fold
    return replace(
        trained,
        fold=replace(
            fold,
            train=slice(fold.train.start, fold.validation.start),
            validation=slice(fold.validation.start, fold.test.start),
        ),
    )


class ScaledOnAll(DecisionPath):
    """Scales fitted to every decision there is."""

    def fit_scales(self, frames: Frames, outputs: Frames, *, last_on: date) -> Scales:
        return super().fit_scales(frames, outputs, last_on=date.max)


class BinnedOnAll(DecisionPath):
    """Features cut into quantile bins of the whole history before they are learned from."""

    def dataset(self, frames: Frames, features: pl.DataFrame) -> Dataset:
        left = set(filter_inputs(TRAINED))
        binned = ((pl.col(name).rank("average") * 20 // pl.len()) for name in self.features if name not in left)
        return super().dataset(frames, features.with_columns(binned))


class Repeated(DecisionPath):
    """A table joined twice: some rows of the test year stand in the training years too."""

    def dataset(self, frames: Frames, features: pl.DataFrame) -> Dataset:
        tested = features.filter(pl.col("session_on").dt.year() == FOLD_YEAR)
        days = tested["session_on"].unique().sort()
        old = features.filter(pl.col("session_on").dt.year() == FOLD_YEAR - 2)["session_on"].unique().sort()
        moved = dict(zip(days.to_list(), old.to_list(), strict=False))
        again = tested.with_columns(session_on=pl.col("session_on").replace_strict(moved, default=None))
        kept = features.filter(~pl.col("session_on").is_in(again["session_on"].unique().implode()))
        rows = pl.concat([kept, again.drop_nulls("session_on")]).sort("session_on", "instrument_id")
        return super().dataset(frames, rows)


class WeighedLate(DecisionPath):
    """Weights from returns that reach a month past the decision."""

    def candidates(self, frames: Frames, outputs: Frames) -> dict[date, Candidates]:
        market, seen = market_of(frames), super().candidates(frames, outputs)
        late = {}
        for day, one in seen.items():
            known = slice(0, market.index_of(day) + 22)
            prices = PastPrices(market.sessions[known], market.instrument_ids, market.adj_close[known])
            late[day] = replace(one, prices=prices)
        return late


class FollowedEarly(DecisionPath):
    """A ledger that trades each decision a week before it was taken."""

    def follow(self, frames: Frames, weights: pl.DataFrame) -> pl.DataFrame:
        moved = {day: sessions_between(date(2013, 1, 2), day)[-6] for day in weights["session_on"].unique()}
        return super().follow(frames, weights.with_columns(pl.col("session_on").replace_strict(moved)))


# --- fills ------------------------------------------------------------------------------------------------------------


def follow(opens: Floats, closes: Floats, decided: int, weights: Floats, *, price: str) -> Floats:
    """Buy at the price named and hold."""
    paid = {
        "next open": opens[decided + 1],
        "same close": closes[decided],
        "same open": opens[decided],
        "next close": closes[decided + 1],
    }[price]
    return np.asarray(1.0 + (closes / paid - 1.0) @ weights)


FOLLOW: Mapping[str, Follow] = {
    price: partial(follow, price=price) for price in ("next open", "same close", "same open", "next close")
}

NEXT_OPEN = trading(FOLLOW["next open"])

PLANTS = (
    Plant("centred window", "prefix-invariance", of_stock(centred_mean), of_stock(trailing_mean)),
    Plant(
        "tomorrow's return, shifted the wrong way",
        "prefix-invariance",
        of_stock(lambda stock: tomorrow(stock.returns)),
        of_stock(lambda stock: stock.returns),
    ),
    Plant(
        "gaps filled backwards",
        "prefix-invariance",
        of_stock(lambda stock: with_gaps(stock).fill_null(strategy="backward").to_numpy()),
        of_stock(lambda stock: with_gaps(stock).fill_null(strategy="forward").to_numpy()),
    ),
    Plant("z-score of the whole history", "prefix-invariance", of_stock(zscore_whole), of_stock(zscore_so_far)),
    Plant("winsorised by the whole history", "prefix-invariance", of_stock(clipped_whole), of_stock(clipped_so_far)),
    Plant(
        "between the extremes of the whole history",
        "prefix-invariance",
        of_stock(between_extremes_whole),
        of_stock(between_extremes_so_far),
    ),
    Plant("imputed by the whole history", "prefix-invariance", of_stock(imputed_whole), of_stock(imputed_so_far)),
    Plant("week stamped at its start", "prefix-invariance", of_stock(week_at_its_start), of_stock(week_so_far)),
    Plant(
        "sign of tomorrow's return alone",
        "future-poisoning",
        of_stock(lambda stock: signed_by(stock, tomorrow(stock.returns))),
        of_stock(lambda stock: signed_by(stock, stock.returns)),
    ),
    Plant(
        "tomorrow's return at quarter ends only",
        "prefix-invariance",
        of_stock(lambda stock: at_quarter_ends(stock, tomorrow(stock.returns))),
        of_stock(lambda stock: at_quarter_ends(stock, stock.returns)),
    ),
    Plant(
        "out the day before a fall",
        "prefix-invariance",
        of_stock(lambda stock: leaving_before_falls(stock, tomorrow(stock.market_returns))),
        of_stock(lambda stock: leaving_before_falls(stock, stock.market_returns)),
    ),
    Plant(
        "whether the stock still trades in a month",
        "prefix-invariance",
        of_stock(lambda stock: np.where(np.arange(len(stock.days)) + HORIZON < len(stock.days), 1.0, 0.0)),
        of_stock(lambda stock: np.where(np.arange(len(stock.days)) >= HORIZON, 1.0, 0.0)),
    ),
    Plant(
        "principal component of the whole history",
        "prefix-invariance",
        of_stock(lambda stock: first_component(stock, slice(None))),
        of_stock(lambda stock: first_component(stock, slice(0, 250))),
    ),
    Plant(
        "target encoding by all labels",
        "prefix-invariance",
        of_stock(partial(mean_label_by_weekday, is_whole=True)),
        of_stock(partial(mean_label_by_weekday, is_whole=False)),
    ),
    Plant("index a day ahead", "prefix-invariance", of_market(benchmark_early), of_market(benchmark)),
    Plant(
        "cross-section normalised over time",
        "prefix-invariance",
        of_sections(normalised_over_time),
        of_sections(normalised_by_day),
    ),
    Plant(
        "label among the features",
        "label-among-features",
        of_stock(lambda stock: tomorrow(stock.total_return(HORIZON), HORIZON)),
        of_stock(lambda stock: stock.total_return(HORIZON)),
    ),
    Plant(
        "label under noise among the features",
        "label-among-features",
        of_stock(lambda stock: noisy(tomorrow(stock.total_return(HORIZON), HORIZON))),
        of_stock(lambda stock: noisy(stock.total_return(HORIZON))),
    ),
    Plant(
        "reports known by their period's end", "unfiled-fundamentals", assembling(by_period_end), assembling(as_read)
    ),
    Plant(
        "restated figures from the first report on",
        "unfiled-fundamentals",
        assembling(restated_from_the_first),
        assembling(as_read),
    ),
    Plant("yields known on their own day", "unpublished-macro", assembling(by_day_observed), assembling(as_read)),
    Plant("today's list for all years", "survivorship", assembling(todays_list), assembling(as_read)),
    Plant("survivors only", "survivorship", assembling(survivors), assembling(as_read)),
    Plant(
        "level of the split-adjusted price",
        "adjusted-levels",
        of_stock(lambda stock: np.log(stock.close)),
        of_stock(lambda stock: np.log(stock.close / stock.open)),
    ),
    Plant(
        "level of the dividend-adjusted price",
        "adjusted-levels",
        of_stock(lambda stock: (stock.adj_close < 40.0).astype(np.float64)),
        of_stock(lambda stock: (stock.returns < 0.0).astype(np.float64)),
    ),
    Plant(
        "smoothed instead of filtered states",
        "prefix-invariance",
        reading(partial(chain_probabilities, is_smoothed=True)),
        reading(partial(chain_probabilities, is_smoothed=False)),
    ),
    Plant(
        "regime by terciles of the whole history",
        "prefix-invariance",
        reading(partial(tercile_probabilities, is_whole=True)),
        reading(partial(tercile_probabilities, is_whole=False)),
    ),
    Plant("stopped by the test year", "fitted-on-the-past", walking(learn=trained_half_a_year_later), untouched),
    Plant(
        "scales fitted to all decisions",
        "fitted-on-the-past",
        walking(ScaledOnAll),
        untouched,
    ),
    Plant(
        "quantile bins of the whole history",
        "fitted-on-the-past",
        walking(BinnedOnAll),
        untouched,
    ),
    Plant("labels that reach into the test", "label-overlap", walking(learn=unpurged), untouched),
    Plant(
        "rows of the test year in the training",
        "shared-rows",
        walking(Repeated),
        untouched,
    ),
    Plant(
        "weights by the returns to come",
        "prefix-invariance",
        walking(WeighedLate),
        untouched,
    ),
    Plant("ledger a week ahead", "prefix-invariance", walking(FollowedEarly), untouched),
    Plant(
        "filled at the decision's own close",
        "same-bar-fills",
        trading(FOLLOW["same close"]),
        trading(FOLLOW["next open"]),
    ),
    Plant(
        "filled at the decision's own open",
        "same-bar-fills",
        trading(FOLLOW["same open"]),
        trading(FOLLOW["next open"]),
    ),
)
