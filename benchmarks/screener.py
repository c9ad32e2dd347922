"""The screener beside bare XGBoost: the same rows, parameters and one thread each, on a made-up universe.

500 stocks, 126 features, five years of weekly rows to learn from, half a year to stop by. Ours begins with whole years
and filters them by a recipe; the library is handed the finished matrix. Memory is the peak of a process of its own,
which makes the matrix and trains on it.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import cache, partial
from pathlib import Path

import numpy as np
import polars as pl
import xgboost

from benchmarks.claim import Claim, at_most, side_by_side
from features.library import FEATURES
from ml_models.algorithm import TREES_MIN, Parameters, probabilities
from ml_models.algorithms import ALGORITHMS
from ml_models.algorithms.xgboost_trees import WEEKLY, XgboostModel, feature_weights, library_parameters
from ml_models.dataset import Dataset, Matrix, Rows
from ml_models.evaluate import auc
from ml_models.labels import PricePanel
from ml_models.lessons import gather_lessons
from ml_models.recipes import RECIPES
from quant.splits import Fold, fold_at

STOCKS, FIRST_YEAR, YEAR = 500, 2011, 2017
HEAVY_ROWS = 200_000
CALLS = 20
RECIPE = RECIPES["momentum_largecap"]
_FEATURES = tuple(FEATURES.values())


def make_dataset() -> Dataset:
    """Random walks on weekdays and random features, one of which knows a little of what comes."""
    days = (date(FIRST_YEAR, 1, 1) + timedelta(days=n) for n in range(366 * (YEAR - FIRST_YEAR)))
    sessions = tuple(day for day in days if day.weekday() < 5 and day.year < YEAR)
    random = np.random.default_rng(0)
    shocks = random.normal(0.0003, 0.018, (len(sessions), STOCKS))
    panel = PricePanel(sessions, np.arange(STOCKS, dtype=np.int32), 50.0 * np.exp(shocks.cumsum(axis=0)))

    def read_year(year: int) -> pl.DataFrame:
        chosen = [index for index, day in enumerate(sessions) if day.year == year][::5]
        ahead = np.log(panel.prices[np.minimum(np.array(chosen) + 21, len(sessions) - 1)] / panel.prices[chosen])
        values = np.random.default_rng(year).normal(size=(len(FEATURES), len(chosen) * STOCKS)).astype(np.float32)
        columns = dict(zip(FEATURES, values, strict=True))
        columns["momentum_21"] += 2.0 * ahead.ravel().astype(np.float32)
        columns["log_market_cap"] += np.float32(25.0)
        keys = {
            "session_on": np.repeat(np.array(sessions, dtype="datetime64[D]")[chosen], STOCKS),
            "instrument_id": np.tile(panel.instrument_ids, len(chosen)),
        }
        return pl.DataFrame(keys | columns)

    return Dataset(
        panel=panel,
        features=tuple(FEATURES),
        read_year=read_year,
        every_sessions=int(WEEKLY["every_sessions"]),
        label_sessions=RECIPE.label_sessions,
        years_kept=YEAR - FIRST_YEAR,
    )


@cache
def fold_of(sessions: tuple[date, ...]) -> Fold:
    """The fold that serves YEAR."""
    return fold_at(sessions, valid_from_on=date(YEAR, 1, 1), valid_to_on=date(YEAR + 1, 1, 1))


def train_ours(rows: Dataset) -> XgboostModel:
    """Filter, gather, train: what a fold does."""
    fold = fold_of(rows.panel.sessions)
    return hand_over(gather_lessons(RECIPE, rows, fold.train), gather_lessons(RECIPE, rows, fold.validation), WEEKLY)


def hand_over(train: Rows, validation: Rows, parameters: Parameters) -> XgboostModel:
    """Our trainer on finished windows."""
    trained = ALGORITHMS["xgboost"].train(
        train, validation, features=_FEATURES, emphasis=RECIPE.emphasis, parameters=parameters, threads=1
    )
    assert isinstance(trained.model, XgboostModel)
    return trained.model


def train_bare(train: Rows, validation: Rows, *, rounds: int = int(WEEKLY["rounds_max"])) -> XgboostModel:
    """The library alone, as its manual has it, on the finished matrices."""
    weights = feature_weights(_FEATURES, RECIPE.emphasis)
    names = list(FEATURES)
    matrix = xgboost.QuantileDMatrix(
        train.X, train.labels, feature_names=names, feature_weights=weights, max_bin=WEEKLY["bins_max"], nthread=1
    )
    judge = xgboost.QuantileDMatrix(
        validation.X, validation.labels, feature_names=names, ref=matrix, max_bin=WEEKLY["bins_max"], nthread=1
    )
    booster = xgboost.train(
        library_parameters(WEEKLY) | {"nthread": 1},
        matrix,
        num_boost_round=rounds,
        evals=[(judge, "validation")],
        early_stopping_rounds=int(WEEKLY["patience_rounds"]),
        verbose_eval=False,
    )
    return XgboostModel(booster[: max(booster.best_iteration + 1, TREES_MIN)])


def _lessons_of_noise(size: int, seed: int) -> Rows:
    """A finished window, as `gather` leaves it, made without a second copy of it."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((size, len(FEATURES)), dtype=np.float32)
    return Rows(
        session_of_row=np.arange(size) // STOCKS,
        instrument_ids=np.zeros(size, dtype=np.int32),
        X=X,
        forward=np.zeros(size),
        labels=(X[:, 0] > 0).astype(np.float32),
    )


def hand_over_ours() -> None:
    """Give a finished window to our trainer."""
    hand_over(_lessons_of_noise(HEAVY_ROWS, 1), _lessons_of_noise(STOCKS, 2), {**WEEKLY, "rounds_max": TREES_MIN})


def hand_over_bare() -> None:
    """Give the same window to the library."""
    train_bare(_lessons_of_noise(HEAVY_ROWS, 1), _lessons_of_noise(STOCKS, 2), rounds=TREES_MIN)


def peak_bytes(work: Callable[[], None]) -> int:
    """Peak resident memory of `work` in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_run_and_weigh, (work,))


def _run_and_weigh(work: Callable[[], None]) -> int:
    work()
    # Not ru_maxrss: a child starts with its parent's.
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def score_and_rank(model: XgboostModel, X: Matrix) -> None:
    """What a night does with a universe, CALLS times."""
    for _ in range(CALLS):
        np.argsort(-probabilities(model.margins(X)))


def predict_in_place(model: XgboostModel, X: Matrix) -> None:
    """The library's fastest way to a score, CALLS times."""
    for _ in range(CALLS):
        model.booster.inplace_predict(X)


def measure() -> Iterator[Claim]:
    """Training cost, agreement, memory, and the scoring of a night."""
    rows = make_dataset()
    fold = fold_of(rows.panel.sessions)
    train, validation = gather_lessons(RECIPE, rows, fold.train), gather_lessons(RECIPE, rows, fold.validation)
    models: dict[str, XgboostModel] = {}
    ours, bare = side_by_side(
        lambda: models.update(ours=train_ours(rows)),
        lambda: models.update(bare=train_bare(train, validation)),
        best_of=5,
    )
    name = f"train a screener on {len(train):,} rows x {len(FEATURES)} features"
    yield at_most(f"{name}: CPU against bare XGBoost", ours=ours.cpu_s, peer=bare.cpu_s, bar=1.1, unit="CPU s")

    own, theirs = (auc(model.margins(validation.X), validation.labels) for model in models.values())
    assert own is not None
    assert theirs is not None
    yield Claim(
        claim="AUC of the trained screener is that of bare XGBoost, to 1e-12",
        ours=own,
        peer=theirs,
        ratio=own / theirs,
        bar=1.0,
        ok=abs(own - theirs) <= 1e-12,
        unit="AUC",
    )
    yield at_most(
        f"train on a finished matrix of {HEAVY_ROWS:,} rows: peak memory against bare XGBoost",
        ours=float(peak_bytes(hand_over_ours)),
        peer=float(peak_bytes(hand_over_bare)),
        bar=1.15,
        unit="bytes",
    )
    for stocks in (2_000, 10_000):
        X = np.ascontiguousarray(np.resize(train.X, (stocks, len(FEATURES))))
        ours, bare = side_by_side(
            partial(score_and_rank, models["ours"], X), partial(predict_in_place, models["ours"], X), best_of=5
        )
        yield at_most(
            f"score and rank {stocks:,} stocks: CPU against bare inplace_predict",
            ours=ours.cpu_s / CALLS,
            peer=bare.cpu_s / CALLS,
            bar=1.3,
            unit="CPU s",
        )
