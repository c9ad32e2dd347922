"""One fold of one screener, from plan to judged model. Nothing here touches the database."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from hashlib import sha256
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

from core.errors import DataMissing
from core.version import code_commit
from database.queries.features import Snapshot
from features.feature import Feature
from ml_models import dataset, eligibility, labels, lessons, recipe, screener
from ml_models.artefact import Manifest, trees
from ml_models.dataset import Dataset, Rows, gather
from ml_models.eligibility import judge_day
from ml_models.evaluate import ScoredDay, assess, calibration
from ml_models.lessons import filter_columns, gather_lessons
from ml_models.recipe import Parameters, Recipe
from ml_models.screener import grow, margins, probabilities
from quant import splits
from quant.splits import Fold, walk_forward

FIRST_FOLD_YEAR = 2009
TRAIN_YEARS = 5
SCORED_EVERY_SESSIONS = 5
_SHAPING_CODE: tuple[ModuleType, ...] = (dataset, eligibility, labels, lessons, recipe, screener, splits)


@dataclass(frozen=True)
class FoldPlan:
    """One model to be: `input_hash` is the same if and only if the model would be.

    `judged_hash` is the content of the test year's features, "" before the year has any; the model does not see it.
    """

    recipe: Recipe
    year: int
    full: bool
    input_hash: str
    feature_hash: str
    data_vintage: dict[str, Any]
    judged_hash: str

    @property
    def parameters(self) -> Parameters:
        """How it is grown."""
        return self.recipe.grown(full=self.full)


@dataclass(frozen=True)
class OutOfFold:
    """Scores of the eligible universe on the sampled sessions of the test year; arrays are parallel."""

    session_on: npt.NDArray[np.datetime64]
    instrument_ids: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]


@dataclass(frozen=True)
class TrainedFold:
    """A model and what it did on the year after its training."""

    plan: FoldPlan
    fold: Fold
    booster: xgboost.Booster
    manifest: Manifest
    out_of_fold: OutOfFold
    metrics: dict[str, Any]


@cache
def shaping_code_hash() -> str:
    """SHA-256 over the source of every module that shapes a model, and the version of the library."""
    digest = sha256(xgboost.__version__.encode())
    for module in _SHAPING_CODE:
        assert module.__spec__ is not None
        assert module.__spec__.loader is not None
        source = module.__spec__.loader.get_source(module.__name__)  # type: ignore[attr-defined]  # source loaders have it
        digest.update(source.encode())
    return digest.hexdigest()


def plan_fold(
    recipe: Recipe, year: int, snapshots: Mapping[int, Snapshot], features: Sequence[Feature], *, full: bool
) -> FoldPlan:
    """Plan fold `year` from the registered snapshots (by year) that it may learn from, shown as `features`.

    DataMissing where the year just before it has none, or one lacks a feature.
    """
    years = [past for past in range(year - TRAIN_YEARS, year) if past in snapshots]
    names = {feature.name for feature in features}
    if year - 1 not in years or any(names - set(snapshots[past].columns) for past in years):
        raise DataMissing(
            f"fold {year} of {recipe.strategy} needs today's features of the years up to {year - 1};"
            " run: acis features build"
        )
    feature_hash = _hash({str(past): snapshots[past].content_hash for past in years})
    shape = {
        "recipe": recipe.fingerprint(full=full),
        "year": year,
        "train_years": TRAIN_YEARS,
        "embargo": recipe.label_sessions,
        "snapshots": feature_hash,
        "features": [(feature.name, feature.group) for feature in features],
        "code": shaping_code_hash(),
    }
    vintage = {str(past): snapshots[past].data_vintage for past in years}
    judged_hash = snapshots[year].content_hash if year in snapshots else ""
    return FoldPlan(recipe, year, full, _hash(shape), feature_hash, vintage, judged_hash)


def train_fold(plan: FoldPlan, rows: Dataset, features: Sequence[Feature], *, threads: int = 1) -> TrainedFold:
    """Train, judge on the test year, describe. `features` are the dataset's columns, in order."""
    recipe = plan.recipe
    fold = walk_forward(
        rows.panel.sessions,
        fold_years=[plan.year],
        train_years=TRAIN_YEARS,
        label_sessions=recipe.label_sessions,
        embargo_sessions=recipe.label_sessions,
    )[0]
    grown = grow(
        gather_lessons(recipe, rows, fold.train),
        gather_lessons(recipe, rows, fold.validation),
        features=features,
        emphasis=recipe.emphasis,
        parameters=plan.parameters,
        threads=threads,
    )
    manifest = Manifest(
        name=recipe.model_name,
        strategy=recipe.strategy,
        features=rows.features,
        train_from_on=fold.train_from_on.isoformat(),
        train_to_on=fold.train_to_on.isoformat(),
        validation_from_on=fold.validation_from_on.isoformat(),
        validation_to_on=fold.validation_to_on.isoformat(),
        last_label_on=fold.last_label_on.isoformat(),
        valid_from_on=fold.valid_from_on.isoformat(),
        valid_to_on=fold.valid_to_on.isoformat(),
        label_sessions=recipe.label_sessions,
        parameters=asdict(plan.parameters),
        emphasis={str(group): weight for group, weight in recipe.emphasis.items()},
        rounds=grown.rounds,
        best_round=grown.best_round,
        validation_auc=grown.validation_auc,
        train_rows=grown.train_rows,
        validation_rows=grown.validation_rows,
        input_hash=plan.input_hash,
        feature_hash=plan.feature_hash,
        data_vintage=plan.data_vintage,
        code_commit=code_commit(),
        library=f"xgboost {xgboost.__version__}",
        model_sha256=sha256(trees(grown.booster)).hexdigest(),
    )
    out_of_fold, metrics = judge_year(
        recipe, grown.booster, rows, plan.year, every_sessions=plan.parameters.every_sessions
    )
    metrics |= {"validation_auc": grown.validation_auc, "rounds": grown.rounds}
    return TrainedFold(plan, fold, grown.booster, manifest, out_of_fold, metrics)


def judge_year(
    recipe: Recipe, booster: xgboost.Booster, rows: Dataset, year: int, *, every_sessions: int
) -> tuple[OutOfFold, dict[str, Any]]:
    """Score the eligible universe of each sampled session of `year`; returns (scores, metrics as JSON).

    `every_sessions` is the dataset's sampling; of a daily dataset every fifth session is scored. Sessions on which
    the strategy is refused have no scores and are counted.
    """
    year_rows = rows.year(year)
    days = year_rows.days()[:: max(SCORED_EVERY_SESSIONS // every_sessions, 1)]
    scored: list[ScoredDay] = []
    refused = 0
    for session, part in days:
        day = _cut(year_rows, part)
        judged = judge_day(recipe, filter_columns(recipe, rows, day.X))
        if judged.reason is not None:
            refused += 1
            continue
        kept = gather([(day, judged.mask)])
        scored.append(
            ScoredDay(
                session_on=rows.panel.sessions[session],
                instrument_ids=kept.instrument_ids,
                scores=probabilities(margins(booster, kept.X)),
                forward=kept.forward,
                labels=kept.labels,
            )
        )
    known = [_known(day) for day in scored]
    quality = assess(known, every_sessions=SCORED_EVERY_SESSIONS, label_sessions=recipe.label_sessions)
    metrics = quality.as_dict() | {
        "refused_sessions": refused,
        "scored_sessions": len(scored),
        "judged_to_on": rows.panel.sessions[days[-1][0]].isoformat() if days else None,
        "calibration": calibration(known),
    }
    return _flatten(scored), metrics


def _cut(rows: Rows, part: slice) -> Rows:
    return Rows(
        rows.session_of_row[part], rows.instrument_ids[part], rows.X[part], rows.forward[part], rows.labels[part]
    )


def _known(day: ScoredDay) -> ScoredDay:
    """The day without the stocks whose forward return is not known (yet)."""
    known = ~np.isnan(day.forward)
    return replace(
        day,
        instrument_ids=day.instrument_ids[known],
        scores=day.scores[known],
        forward=day.forward[known],
        labels=day.labels[known],
    )


def _flatten(days: Sequence[ScoredDay]) -> OutOfFold:
    if not days:
        return OutOfFold(np.empty(0, "datetime64[D]"), np.empty(0, np.int32), np.empty(0, np.float32))
    return OutOfFold(
        session_on=np.repeat(
            np.array([day.session_on for day in days], dtype="datetime64[D]"), [len(day.scores) for day in days]
        ),
        instrument_ids=np.concatenate([day.instrument_ids for day in days]),
        scores=np.concatenate([day.scores for day in days]).astype(np.float32),
    )


def _hash(content: Mapping[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
