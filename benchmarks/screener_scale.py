"""The screener at scale: two thousand stocks over nine years of weekly rows, and four million daily rows.

Both go the pipeline's whole way, from years of features over the filter to a trained model, on made-up universes. The
four million rows are grown for ROUNDS rounds only: memory is at its peak when the first tree is begun.
"""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import cache, partial

import numpy as np
import polars as pl
import xgboost

from benchmarks.claim import Claim, at_most, side_by_side
from benchmarks.screener import peak_bytes
from features.feature import Feature
from features.library import FEATURES
from ml_models.algorithms.xgboost_trees import WEEKLY, feature_weights, library_parameters, train_trees
from ml_models.dataset import Dataset, Rows
from ml_models.labels import PricePanel
from ml_models.lessons import gather_lessons
from ml_models.recipe import CapBand, Recipe

EVERYBODY = Recipe("all_largecap", keeps=(), emphasis={}, cap_band=CapBand("largecap", usd_min=1.0))
THREADS = 2
WIDE_STOCKS, WIDE_YEARS = 2_000, range(2008, 2018)
LONG_STOCKS, LONG_YEARS, LONG_FEATURES = 3_200, range(2012, 2018), 60
ROUNDS = 5
BYTES_MAX = 4 * 2**30


def make_dataset(stocks: int, years: range, features: tuple[Feature, ...], every_sessions: int) -> Dataset:
    """Random walks on weekdays and random features; the first knows a little of what comes."""
    days = (date(years[0], 1, 1) + timedelta(days=n) for n in range(366 * len(years)))
    sessions = tuple(day for day in days if day.weekday() < 5 and day.year in years)
    shocks = np.random.default_rng(0).normal(0.0003, 0.018, (len(sessions), stocks))
    panel = PricePanel(sessions, np.arange(stocks, dtype=np.int32), 50.0 * np.exp(shocks.cumsum(axis=0)))
    names = [feature.name for feature in features]

    def read_year(year: int) -> pl.DataFrame:
        chosen = [index for index, day in enumerate(sessions) if day.year == year][::every_sessions]
        values = np.random.default_rng(year).standard_normal((len(names), len(chosen) * stocks), dtype=np.float32)
        ahead = panel.prices[np.minimum(np.array(chosen) + 21, len(sessions) - 1)] / panel.prices[chosen] - 1.0
        values[0] += 2.0 * ahead.ravel().astype(np.float32)
        values[names.index("log_market_cap")] += np.float32(25.0)
        keys = {
            "session_on": np.repeat(np.array(sessions, dtype="datetime64[D]")[chosen], stocks),
            "instrument_id": np.tile(panel.instrument_ids, len(chosen)),
        }
        return pl.DataFrame(keys | dict(zip(names, values, strict=True)))

    return Dataset(
        panel=panel,
        features=names,
        read_year=read_year,
        every_sessions=every_sessions,
        label_sessions=EVERYBODY.label_sessions,
        years_kept=len(years),
    )


def windows(rows: Dataset) -> tuple[Rows, Rows]:
    """All years but the last to learn from, half of the last to stop by."""
    last = next(index for index, day in enumerate(rows.panel.sessions) if day.year == rows.panel.sessions[-1].year)
    return (
        gather_lessons(EVERYBODY, rows, slice(0, last - 42)),
        gather_lessons(EVERYBODY, rows, slice(last, last + 126)),
    )


@cache
def wide() -> Dataset:
    """Nine years and a half of weekly rows, every feature of the library."""
    return make_dataset(WIDE_STOCKS, WIDE_YEARS, tuple(FEATURES.values()), int(WEEKLY["every_sessions"]))


def train_wide() -> None:
    """Filter, gather, train: what a fold does, with two threads."""
    train, validation = windows(wide())
    train_trees(
        train,
        validation,
        features=tuple(FEATURES.values()),
        emphasis=EVERYBODY.emphasis,
        parameters=WEEKLY,
        threads=THREADS,
    )


def train_bare(train: Rows, validation: Rows) -> None:
    """The library alone on the finished matrices, with two threads."""
    bins = WEEKLY["bins_max"]
    weights = feature_weights(tuple(FEATURES.values()), EVERYBODY.emphasis)
    matrix = xgboost.QuantileDMatrix(
        train.X, train.labels, feature_weights=weights, max_bin=bins, nthread=THREADS, feature_names=list(FEATURES)
    )
    judge = xgboost.QuantileDMatrix(
        validation.X, validation.labels, ref=matrix, max_bin=bins, nthread=THREADS, feature_names=list(FEATURES)
    )
    xgboost.train(
        library_parameters(WEEKLY) | {"nthread": THREADS},
        matrix,
        num_boost_round=int(WEEKLY["rounds_max"]),
        evals=[(judge, "validation")],
        early_stopping_rounds=int(WEEKLY["patience_rounds"]),
        verbose_eval=False,
    )


def long_features() -> tuple[Feature, ...]:
    """As many features as the claim names, the one that the filter reads among them."""
    others = [feature for feature in FEATURES.values() if feature.name != "log_market_cap"]
    return (*others[: LONG_FEATURES - 1], FEATURES["log_market_cap"])


def train_long() -> None:
    """Four million daily rows from years of features to a model."""
    features = long_features()
    train, validation = windows(make_dataset(LONG_STOCKS, LONG_YEARS, features, 1))
    assert len(train) >= 4_000_000, len(train)
    train_trees(
        train,
        validation,
        features=features,
        emphasis=EVERYBODY.emphasis,
        parameters={**WEEKLY, "rounds_max": ROUNDS},
        threads=THREADS,
    )


def measure() -> Iterator[Claim]:
    """Wall seconds of the wide universe beside the bare library, and the peak memory of the long one."""
    train, validation = windows(wide())
    bare: Callable[[], None] = partial(train_bare, train, validation)
    ours, theirs = side_by_side(train_wide, bare, best_of=2)
    yield at_most(
        f"train on {WIDE_STOCKS:,} stocks x {len(WIDE_YEARS) - 1} years weekly ({len(train):,} rows x {len(FEATURES)}"
        f" features) with {THREADS} threads, {ours.wall_s:.1f} s of wall time: CPU against bare XGBoost",
        ours=ours.cpu_s,
        peer=theirs.cpu_s,
        bar=1.1,
        unit="CPU s",
    )
    yield at_most(
        f"train on four million daily rows x {LONG_FEATURES} features, {ROUNDS} rounds: peak memory against 4 GiB",
        ours=float(peak_bytes(train_long)),
        peer=float(BYTES_MAX),
        bar=1.0,
        unit="bytes",
    )
