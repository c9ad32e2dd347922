"""One fold of one screener, from plan to judged model. Nothing here touches the database."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from hashlib import sha256
from typing import Any

import numpy as np

from core.errors import DataMissing
from core.version import code_commit
from database.queries.features import Snapshot
from features.feature import Feature
from ml_models.algorithm import Model, Trained, probabilities
from ml_models.artefact import Manifest
from ml_models.configuration import TRAIN_YEARS, Configuration
from ml_models.dataset import Dataset, Matrix, Rows, gather
from ml_models.eligibility import judge_day
from ml_models.evaluate import ScoredDay, assess, calibration
from ml_models.lessons import filter_columns, gather_lessons
from ml_models.recipe import Recipe
from ml_models.returns import Judged
from ml_models.rule import rank_by_rule
from quant.market import Market
from quant.splits import Fold, fold_at

FIRST_FOLD_YEAR = 2009
# Nothing is learned from the last days before a fold serves: their labels reach into its service.
_UNREAD = timedelta(days=28)
SCORED_EVERY_SESSIONS = 5
_ROWS_WEIGHED = 1000


@dataclass(frozen=True)
class FoldPlan:
    """One model to be: `input_hash` is the same if and only if the model would be.

    It serves [valid_from_on, valid_to_on), which lies in one calendar year. `judged_hash` is the content of that
    year's features, "" before the year has any; the model does not see it.
    """

    configuration: Configuration
    valid_from_on: date
    valid_to_on: date
    input_hash: str
    feature_hash: str
    data_vintage: dict[str, Any]
    judged_hash: str

    @property
    def recipe(self) -> Recipe:
        """What it looks at."""
        return self.configuration.recipe

    @property
    def year(self) -> int:
        """The calendar year that it serves."""
        return self.valid_from_on.year


@dataclass(frozen=True)
class TrainedFold:
    """A model and what it did on the sessions after its training.

    `judged` holds what it said; `market` prices of that year, None where nobody asked what the scores would have
    earned.
    """

    plan: FoldPlan
    fold: Fold
    model: Model
    manifest: Manifest
    judged: Judged
    metrics: dict[str, Any]
    market: Market | None = None


def plan_fold(
    configuration: Configuration,
    snapshots: Mapping[int, Snapshot],
    features: Sequence[Feature],
    *,
    valid_from_on: date,
    valid_to_on: date | None = None,
) -> FoldPlan:
    """Plan a fold from the registered snapshots (by year) that it may learn from, shown as `features`.

    It serves up to the end of the year unless told otherwise. DataMissing where the newest year that it learns from
    has no snapshot, or one lacks a feature.
    """
    newest = (valid_from_on - _UNREAD).year
    years = [past for past in range(valid_from_on.year - TRAIN_YEARS, newest + 1) if past in snapshots]
    names = {feature.name for feature in features}
    if newest not in years or any(names - set(snapshots[past].columns) for past in years):
        raise DataMissing(
            f"fold {valid_from_on.year} of {configuration.recipe.strategy} needs today's features of the years up to"
            f" {newest}; run: acis features build"
        )
    feature_hash = _hash({str(past): snapshots[past].content_hash for past in years})
    shape = configuration.as_dict(features) | {"valid_from_on": valid_from_on.isoformat(), "snapshots": feature_hash}
    return FoldPlan(
        configuration=configuration,
        valid_from_on=valid_from_on,
        valid_to_on=valid_to_on or date(valid_from_on.year + 1, 1, 1),
        input_hash=_hash(shape),
        feature_hash=feature_hash,
        data_vintage={str(past): snapshots[past].data_vintage for past in years},
        judged_hash=snapshots[valid_from_on.year].content_hash if valid_from_on.year in snapshots else "",
    )


def train_fold(plan: FoldPlan, rows: Dataset, features: Sequence[Feature], *, threads: int = 1) -> TrainedFold:
    """Train, judge on the sessions after it, describe. `features` are the dataset's columns, in order."""
    recipe = plan.recipe
    fold = fold_at(
        rows.panel.sessions,
        valid_from_on=plan.valid_from_on,
        valid_to_on=plan.valid_to_on,
        train_years=TRAIN_YEARS,
        label_sessions=recipe.label_sessions,
        embargo_sessions=recipe.label_sessions,
    )
    lessons, validation = (gather_lessons(recipe, rows, window) for window in (fold.train, fold.validation))
    trained = plan.configuration.algorithm.train(
        lessons,
        validation,
        features=features,
        emphasis=recipe.emphasis,
        parameters=plan.configuration.parameters,
        threads=threads,
    )
    manifest = _describe(plan, fold, rows, trained, len(lessons), len(validation))
    judged, metrics = judge_sessions(
        plan.configuration, trained.model, rows, features, from_on=plan.valid_from_on, before_on=plan.valid_to_on
    )
    metrics |= {
        "validation_auc": trained.validation_auc,
        "rounds": trained.rounds,
        "importance": weigh_features(trained.model, validation.X, rows.features),
    }
    return TrainedFold(plan, fold, trained.model, manifest, judged, metrics)


def weigh_features(model: Model, X: Matrix, names: Sequence[str]) -> dict[str, float]:
    """How much each feature moves the scores: its mean absolute contribution over the rows, as a share of all.

    Over a thousand rows spread evenly; features that move nothing are left out. Mean |SHAP|: Lundberg et al. (2020),
    "From local explanations to global understanding with explainable AI for trees", section 2.
    """
    spread = X[:: max(len(X) // _ROWS_WEIGHED, 1)]
    values, _ = model.contributions(np.ascontiguousarray(spread))
    moved = np.abs(values).mean(axis=0)
    total = float(moved.sum()) or 1.0
    return {name: round(float(part) / total, 6) for name, part in zip(names, moved, strict=True) if part > 0}


def _describe(
    plan: FoldPlan, fold: Fold, rows: Dataset, trained: Trained, train_rows: int, validation_rows: int
) -> Manifest:
    configuration, recipe = plan.configuration, plan.recipe
    files = trained.model.to_files()
    return Manifest(
        name=recipe.model_name,
        strategy=recipe.strategy,
        algorithm=configuration.algorithm.name,
        tuned=bool(configuration.origin),
        origin=configuration.origin,
        features=rows.features,
        train_from_on=fold.train_from_on.isoformat(),
        train_to_on=fold.train_to_on.isoformat(),
        validation_from_on=fold.validation_from_on.isoformat(),
        validation_to_on=fold.validation_to_on.isoformat(),
        last_label_on=fold.last_label_on.isoformat(),
        valid_from_on=fold.valid_from_on.isoformat(),
        valid_to_on=fold.valid_to_on.isoformat(),
        label_sessions=recipe.label_sessions,
        parameters=dict(configuration.parameters),
        emphasis={str(group): weight for group, weight in recipe.emphasis.items()},
        rounds=trained.rounds,
        best_round=trained.best_round,
        validation_auc=trained.validation_auc,
        train_rows=train_rows,
        validation_rows=validation_rows,
        input_hash=plan.input_hash,
        feature_hash=plan.feature_hash,
        data_vintage=plan.data_vintage,
        code_commit=code_commit(),
        library=configuration.algorithm.library,
        model_sha256=sha256(b"".join(files[name] for name in sorted(files))).hexdigest(),
    )


def judge_sessions(
    configuration: Configuration,
    model: Model,
    rows: Dataset,
    features: Sequence[Feature],
    *,
    from_on: date,
    before_on: date,
) -> tuple[Judged, dict[str, Any]]:
    """Score the eligible universe of the sampled sessions in [from_on, before_on); returns (scores, metrics as JSON).

    Of a daily dataset every fifth session is scored. Sessions on which the strategy is refused have no scores and are
    counted. What the plain rule says is there for the whole calendar year, so that a fold which begins to serve in the
    middle of it can be set behind the one before.
    """
    recipe, year_rows = configuration.recipe, rows.year(from_on.year)
    days = year_rows.days()[:: max(SCORED_EVERY_SESSIONS // configuration.every_sessions, 1)]
    parts: list[Judged] = []
    scored: list[ScoredDay] = []
    refused, judged_to_on = 0, None
    for place, part in days:
        session_on, day = rows.panel.sessions[place], _cut(year_rows, part)
        if session_on >= before_on:
            break
        judged_to_on = session_on
        eligible = judge_day(recipe, filter_columns(recipe, rows, day.X))
        if eligible.reason is not None:
            refused += session_on >= from_on
            continue
        kept = gather([(day, eligible.mask)])
        if session_on >= from_on:
            scores = probabilities(model.margins(kept.X))
            scored.append(ScoredDay(session_on, kept.instrument_ids, scores, kept.forward, kept.labels))
        else:
            scores = np.full(len(kept), np.nan)
        parts.append(
            Judged(
                np.full(len(kept), session_on, dtype="datetime64[D]"),
                kept.instrument_ids,
                scores.astype(np.float32),
                rank_by_rule(recipe, kept.X, features) if recipe.rule else np.zeros(len(kept)),
            )
        )
    known = [_known(day) for day in scored]
    quality = assess(known, every_sessions=SCORED_EVERY_SESSIONS, label_sessions=recipe.label_sessions)
    metrics = quality.as_dict() | {
        "refused_sessions": refused,
        "scored_sessions": len(scored),
        "judged_to_on": judged_to_on.isoformat() if judged_to_on else None,
        "calibration": calibration(known),
    }
    return _joined(parts), metrics


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


def _joined(parts: Sequence[Judged]) -> Judged:
    if not parts:
        return Judged(np.empty(0, "datetime64[D]"), np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0))
    return Judged(
        np.concatenate([part.session_on for part in parts]),
        np.concatenate([part.instrument_ids for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.plain for part in parts]),
    )


def _hash(content: Mapping[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
