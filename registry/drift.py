"""Drift of features and models: read once a session, and kept with a sentence each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from database.queries import allocations
from database.queries import drift as queries
from database.queries.models import find_versions, valid_models
from database.session import Session
from database.tables.drift import DriftReading
from database.tables.models import ModelVersion
from features.service import feature_names, read_features
from quant.drift import PanelDrift
from quant.placement import WINDOW_SESSIONS, Floats
from registry.drift_state import State, drift_state
from registry.panels import TrainingPanel, read_month, training_panel
from registry.readings import Rows, add_allocation_readings, add_input_readings, add_score_readings, feature_readings
from registry.roles import challengers, champions, contenders

_ALLOCATIONS_DAYS = 550
_KINDS = ("screener", "allocator")
# What the encoders of the allocators' observations clip at, where the manifest does not say.
_CLIP = 5.0


@dataclass(frozen=True)
class ModelDrift:
    """One version on one session: `alarms` are the sentences of the measures that alarmed on this session."""

    kind: str
    strategy: str
    name: str
    version: int
    model_version_id: int
    state: State
    sentence: str
    alarms: tuple[str, ...]


@dataclass(frozen=True)
class DriftReport:
    """What was read on a session: every model, and the features beyond their lines with their sentences."""

    session_on: date
    features: int
    drifted: Mapping[str, str]
    models: tuple[ModelDrift, ...]


def watched_versions(session: Session, *, as_of: date) -> list[ModelVersion]:
    """Champions, challengers and the newest valid version of each strategy, by kind, strategy and version."""
    found: dict[int, ModelVersion] = {}
    for kind in _KINDS:
        for holders in (
            champions(session, kind=kind, as_of=as_of),
            challengers(session, kind=kind, as_of=as_of),
            valid_models(session, kind=kind, as_of=as_of),
        ):
            found |= {model.model_version_id: model for model in holders.values()}
    return sorted(found.values(), key=lambda model: (_KINDS.index(model.kind), model.strategy, model.version))


def read_drift(
    session: Session, *, as_of: date, outcomes: pl.DataFrame, model_version_ids: Sequence[int] = ()
) -> DriftReport:
    """Measure features and models on the session `as_of` and keep what was read; twice is once.

    The models are those that are watched on that day, the newest of every other configuration, which the gate asks
    about, and the versions named, which may begin to serve later.

    `outcomes` are the screeners' out-of-sample scores with what came of them (strategy, session_on, score, forward,
    label, known_on); later sessions are left out here. Nothing after `as_of` is looked at. DataMissing where the
    features of `as_of`, of the month before or of a training window are not built.
    """
    watched = watched_versions(session, as_of=as_of)
    named = [model for model in find_versions(session) if model.model_version_id in model_version_ids]
    others = [model for kind in _KINDS for model in contenders(session, kind=kind, as_of=as_of)]
    models = list({model.model_version_id: model for model in (*watched, *others, *named)}.values())
    panels = {window: training_panel(session, first_on=window[0], last_on=window[1]) for window in _windows(models)}
    months = {window: (panel, read_month(panel, as_of=as_of)) for window, panel in panels.items() if panel is not None}
    found: list[DriftReading] = []
    known = [model for model in watched if _window(model) in months]
    if known:
        # Features are told against one window: that of most of the models.
        training, month = months[_common_window(known)]
        found += feature_readings(as_of, training.features, month)
    said = outcomes.filter(pl.col("session_on") <= as_of)
    for model in models:
        found += _of_model(session, as_of, model, months.get(_window(model)), said)
    queries.put_readings(session, found)
    return report(session, as_of=as_of)


def _window(model: ModelVersion) -> tuple[date, date]:
    """All that shaped the version: training and validation."""
    return model.train_from_on, model.last_label_on


def _windows(models: Sequence[ModelVersion]) -> list[tuple[date, date]]:
    return sorted({_window(model) for model in models})


def _common_window(models: Sequence[ModelVersion]) -> tuple[date, date]:
    counts = Counter(_window(model) for model in models)
    return max(counts, key=lambda window: (counts[window], window))


def _of_model(
    session: Session,
    as_of: date,
    model: ModelVersion,
    month: tuple[TrainingPanel, PanelDrift] | None,
    said: pl.DataFrame,
) -> list[DriftReading]:
    rows = Rows(as_of, model.kind, model.name, model.model_version_id)
    add_input_readings(rows, model, month)
    if model.kind == "screener":
        add_score_readings(rows, model.name, said.filter(strategy=model.strategy), as_of=as_of)
    else:
        _add_allocations(session, rows, model, as_of)
    return rows.readings


def _add_allocations(session: Session, rows: Rows, model: ModelVersion, as_of: date) -> None:
    days = queries.allocation_days(
        session,
        strategy=model.strategy,
        allocator=model.algorithm,
        first_on=as_of - timedelta(days=_ALLOCATIONS_DAYS),
        last_on=as_of,
    )
    weights = allocations.weights_of(session, allocation_ids=[day.allocation_id for day in days])
    add_allocation_readings(
        rows,
        model.name,
        turnover=np.array([float(day.diagnostics.get("turnover", 0.0)) for day in days]),
        distance=np.array([_distance([float(w) for w in weights[day.allocation_id].values()]) for day in days]),
        window=WINDOW_SESSIONS,
        context=_context(model, as_of),
        clip=float(model.manifest.get("scales", {}).get("clip", _CLIP)),
    )


def _distance(weights: Sequence[float]) -> float:
    """What would have to be traded, one way, to hold equal weights of the same stocks."""
    total = sum(weights)
    return sum(abs(weight - total / len(weights)) for weight in weights) / 2.0 if weights else 0.0


def _context(model: ModelVersion, as_of: date) -> Floats | None:
    """The market columns of `as_of` in the policy's scale, where its manifest tells the scale."""
    scales, columns = model.manifest.get("scales", {}), model.manifest.get("context_columns", [])
    mean, spread = scales.get("context_mean"), scales.get("context_spread")
    if not columns or mean is None or spread is None or not len(columns) == len(mean) == len(spread):
        return None
    known = [place for place, name in enumerate(columns) if name in feature_names()]
    frame = read_features(as_of=as_of, first_on=as_of, columns=[columns[place] for place in known])
    today = [frame[columns[place]].drop_nans().first() for place in known]
    values = np.array([np.nan if value is None else value for value in today], dtype=np.float64)
    return np.asarray((values - np.array(mean)[known]) / np.array(spread)[known])


def report(session: Session, *, as_of: date) -> DriftReport:
    """What was read on the session `as_of`, from the rows that are kept."""
    found = queries.readings_on(session, session_on=as_of)
    features = [reading for reading in found if reading.subject_kind == "feature"]
    models = {model.model_version_id: model for model in watched_versions(session, as_of=as_of)}
    read = {reading.model_version_id for reading in found}
    return DriftReport(
        session_on=as_of,
        features=len({reading.subject for reading in features}),
        drifted={reading.subject: reading.summary for reading in features if reading.is_alarm},
        models=tuple(_told(session, as_of, model, found) for key, model in models.items() if key in read),
    )


def _told(session: Session, as_of: date, model: ModelVersion, found: Sequence[DriftReading]) -> ModelDrift:
    state = drift_state(session, name=model.name, as_of=as_of, model_version_id=model.model_version_id)
    own = [reading for reading in found if reading.model_version_id == model.model_version_id]
    return ModelDrift(
        kind=model.kind,
        strategy=model.strategy,
        name=model.name,
        version=model.version,
        model_version_id=model.model_version_id,
        state=state.state,
        sentence=state.sentence,
        alarms=tuple(dict.fromkeys(reading.summary for reading in own if reading.is_alarm)),
    )
