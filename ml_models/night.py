"""Score one night: every strategy's universe, its best hundred stocks with reasons, or why it was refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from core.config import get_settings
from core.errors import ModelMissing
from database.queries import models, scores
from database.queries.scores import ScoreRows
from database.session import Session
from database.tables.models import ModelVersion
from database.tables.scores import ScoreBatch
from features.feature import Feature
from features.library import FEATURES
from features.service import DayFeatures, cross_section
from ml_models.dataset import Matrix
from ml_models.eligibility import Eligibility, filter_inputs, judge_day
from ml_models.explain import Standing, stand
from ml_models.folds import KIND
from ml_models.recipe import Recipe
from ml_models.screening import loaded, screen
from ml_models.training import FIRST_FOLD_YEAR


@dataclass(frozen=True)
class _Universe:
    """The day's universe as the models read it."""

    day: DayFeatures
    instrument_ids: np.ndarray[tuple[int], np.dtype[np.int32]]
    X: Matrix
    features: tuple[Feature, ...]
    standing: Standing


def score_strategies(session: Session, *, as_of: date, recipes: Sequence[Recipe]) -> None:
    """Score and store the night of these recipes. ModelMissing names those for which no fold may serve."""
    universe = _universe(cross_section(as_of=as_of))
    judged = {recipe.strategy: _judge(recipe, universe) for recipe in recipes}
    in_force = models.valid_models(session, kind=KIND, as_of=as_of)
    _require_models([name for name, day in judged.items() if day.reason is None and name not in in_force], as_of)
    rows = {name: _screen(universe, day, in_force[name]) for name, day in judged.items() if day.reason is None}
    stored = scores.add_batches(
        session,
        [_batch(as_of, name, day, universe, in_force.get(name), rows.get(name)) for name, day in judged.items()],
    )
    scores.add_scores(
        session, rows_by_batch={stored[name].score_batch_id: found for name, found in rows.items() if name in stored}
    )


def _universe(day: DayFeatures) -> _Universe:
    frame = day.frame.filter("in_universe")
    X = np.ascontiguousarray(frame.select(pl.col(tuple(FEATURES))).to_numpy(), dtype=np.float32)
    ids = frame["instrument_id"].to_numpy().astype(np.int32)
    return _Universe(day, ids, X, tuple(FEATURES.values()), stand(X))


def _judge(recipe: Recipe, universe: _Universe) -> Eligibility:
    place = {feature.name: index for index, feature in enumerate(universe.features)}
    judged = judge_day(recipe, {name: universe.X[:, place[name]] for name in filter_inputs(recipe)})
    if judged.reason is None and not judged.mask.any():
        return Eligibility(judged.mask, "no stock of the universe passes the filter")
    return judged


def _require_models(missing: Sequence[str], as_of: date) -> None:
    if not missing:
        return
    remedy = (
        f"run: acis train screener --years {as_of.year}"
        if as_of.year >= FIRST_FOLD_YEAR
        else f"screeners serve from {FIRST_FOLD_YEAR} on, when there are three years to learn from"
    )
    raise ModelMissing(f"no screener of {', '.join(sorted(missing))} is valid on {as_of}; {remedy}")


def _screen(universe: _Universe, day: Eligibility, model: ModelVersion) -> ScoreRows:
    booster = loaded(get_settings().models_dir / model.artefact_dir, model.artefact_sha256, tuple(FEATURES))
    return screen(
        booster,
        instrument_ids=universe.instrument_ids,
        X=universe.X,
        eligible=day.mask,
        features=universe.features,
        standing=universe.standing,
    )


def _batch(
    as_of: date,
    strategy: str,
    judged: Eligibility,
    universe: _Universe,
    model: ModelVersion | None,
    rows: ScoreRows | None,
) -> ScoreBatch:
    vintage: Mapping[str, Mapping[str, int]] = universe.day.data_vintage
    return ScoreBatch(
        session_on=as_of,
        strategy=strategy,
        lane="served",
        source="model",
        source_reason="",
        status="refused" if judged.reason else "scored",
        reason=judged.reason,
        model_version_id=model.model_version_id if model and rows else None,
        feature_hash=universe.day.feature_hash,
        data_vintage=dict(vintage),
        universe_count=len(universe.X),
        eligible_count=int(judged.mask.sum()),
        scored_count=len(rows.scores) if rows else 0,
    )
