"""Score one night: every strategy's universe, its best hundred stocks with reasons, or why it was refused.

A model serves where it is champion, the plain rule everywhere else. Beside what is served, the lane `plain` holds the
rule's scores every night and the lane `screener` those of the challenger, else of the champion; nobody trades on them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from database.queries import scores
from database.queries.scores import ScoreRows
from database.session import Session
from database.tables.models import ModelVersion
from database.tables.scores import ScoreBatch
from features.feature import Feature
from features.library import FEATURES
from features.service import DayFeatures, cross_section
from ml_models.algorithm import Model
from ml_models.dataset import Matrix
from ml_models.eligibility import Eligibility, filter_inputs, judge_day
from ml_models.explain import Standing, stand
from ml_models.folds import KIND
from ml_models.recipe import Recipe
from ml_models.screening import Shown, loaded, screen, screen_by_rule
from registry.artefact import place
from registry.serving import Seat, load_first, seats, title

SERVED, PLAIN, SCREENER = "served", "plain", "screener"


@dataclass(frozen=True)
class _Universe:
    """The day's universe as the models read it."""

    day: DayFeatures
    instrument_ids: np.ndarray[tuple[int], np.dtype[np.int32]]
    X: Matrix
    features: tuple[Feature, ...]
    standing: Standing


@dataclass(frozen=True)
class _Scored:
    """One lane's screen of one strategy: by which model (None: by the rule), and why by that."""

    lane: str
    model: ModelVersion | None
    reason: str
    rows: ScoreRows


def score_strategies(session: Session, *, as_of: date, recipes: Sequence[Recipe]) -> None:
    """Score and store all lanes of the night of these recipes."""
    universe = _universe(cross_section(as_of=as_of))
    taken = seats(session, kind=KIND, strategies=[recipe.strategy for recipe in recipes], as_of=as_of)
    batches: list[ScoreBatch] = []
    rows: dict[tuple[str, str], ScoreRows] = {}
    for recipe in recipes:
        judged = _judge(recipe, universe)
        if judged.reason is not None:
            batches.append(_batch(as_of, recipe.strategy, judged, universe, None))
            continue
        for scored in _score_lanes(session, recipe, taken[recipe.strategy], _show(universe, judged)):
            batches.append(_batch(as_of, recipe.strategy, judged, universe, scored))
            rows[recipe.strategy, scored.lane] = scored.rows
    stored = scores.add_batches(session, batches)
    scores.add_scores(session, rows_by_batch={stored[key]: found for key, found in rows.items() if key in stored})


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


def _show(universe: _Universe, judged: Eligibility) -> Shown:
    return Shown(universe.instrument_ids[judged.mask], universe.X[judged.mask], universe.features, universe.standing)


def _score_lanes(session: Session, recipe: Recipe, seat: Seat, shown: Shown) -> list[_Scored]:
    """The served lane first. A model that is refused at loading is passed over, with an alert."""
    champion = load_first(session, seat.heirs, _load)
    challenger = load_first(session, [seat.challenger], _load) if seat.challenger else None
    served = _serve(recipe, seat, champion, shown)
    if champion is None:
        beside = _Scored(PLAIN, None, "the plain rule, which is served too", _bare(served.rows))
    else:
        rows = screen_by_rule(recipe, shown, explained=False)
        beside = _Scored(PLAIN, None, "the plain rule, beside the model that is served", rows)
    lanes = [served, beside]
    if challenger is not None:
        reason = f"{title(challenger[0])} is challenger"
        lanes.append(_Scored(SCREENER, challenger[0], reason, screen(challenger[1], shown, explained=False)))
    elif champion is not None:
        reason = f"{title(champion[0])}, which is served too: there is no challenger"
        lanes.append(_Scored(SCREENER, champion[0], reason, _bare(served.rows)))
    return lanes


def _serve(recipe: Recipe, seat: Seat, champion: tuple[ModelVersion, Model] | None, shown: Shown) -> _Scored:
    if champion is None:
        reason = seat.reason if seat.champion is None else f"{title(seat.champion)} was refused at loading"
        return _Scored(SERVED, None, f"plain rule: {reason}", screen_by_rule(recipe, shown, explained=True))
    model, booster = champion
    reason = seat.reason
    if model is not seat.champion:
        reason = f"{title(model)} serves again: the champion was refused at loading"
    return _Scored(SERVED, model, reason, screen(booster, shown, explained=True))


def _load(model: ModelVersion) -> Model:
    return loaded(place(model.artefact_dir), model.artefact_sha256, tuple(FEATURES))


def _bare(rows: ScoreRows) -> ScoreRows:
    """The same scores, not explained."""
    count = len(rows.scores)
    return ScoreRows(
        instrument_ids=rows.instrument_ids,
        scores=rows.scores,
        margins=rows.margins,
        bases=np.zeros(count),
        contributions=np.empty((count, 0)),
        reasons=[[]] * count,
    )


def _batch(as_of: date, strategy: str, judged: Eligibility, universe: _Universe, scored: _Scored | None) -> ScoreBatch:
    """The row of one lane's screen; of a refused night, which no lane scores, that of the served lane."""
    vintage: Mapping[str, Any] = universe.day.data_vintage
    return ScoreBatch(
        session_on=as_of,
        strategy=strategy,
        lane=scored.lane if scored else SERVED,
        source="model" if scored and scored.model else "rule",
        source_reason=scored.reason if scored else "",
        status="scored" if scored else "refused",
        reason=judged.reason,
        model_version_id=scored.model.model_version_id if scored and scored.model else None,
        feature_hash=universe.day.feature_hash,
        data_vintage=dict(vintage),
        universe_count=len(universe.X),
        eligible_count=int(judged.mask.sum()),
        scored_count=len(scored.rows.scores) if scored else 0,
    )
