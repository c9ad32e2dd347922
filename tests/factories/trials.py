"""Builders of trials with out-of-sample returns, and of all else that the gate asks for."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from database.tables.drift import DriftReading
from database.tables.models import ModelVersion
from registry.evidence import BASELINES, REFERENCE
from registry.leaks import record_leak_audit
from registry.trials import ReturnSeries, add_returns, record_trial
from tests.factories.models import create_model

YEARS = range(2013, 2017)
# What the gate reads of the candidate alone.
_SIMPLE_AND_DOUBLED = ("plain", "model_costs_doubled", *(set(BASELINES["allocator"]) - {"equal_weight"}))
_DEVIATION = 0.003  # of active returns a day


def weekdays(year: int) -> Any:
    """Every weekday of a year, as the sessions of a made-up exchange."""
    days = np.arange(np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01"))
    return days[np.is_busday(days)]


def create_trial(
    session: Session,
    *,
    kind: str = "screener",
    strategy: str = "momentum_largecap",
    ratio: float = 0.0,
    years: Sequence[int] = YEARS,
    seed: int = 1,
    costs: float = 2e-5,
    source: str = "training",
    without: Sequence[str] = (),
) -> int:
    """A configuration whose active returns have the yearly Sharpe ratio `ratio`; each seed is one of its own.

    Twice the costs take `costs` a day; the simple rules earn what the reference earns, with noise of their own.
    `without` leaves series out.
    """
    trial_id = record_trial(session, kind=kind, strategy=strategy, source=source, configuration={"seed": seed})
    generator = np.random.default_rng(seed)
    for year in years:
        sessions = weekdays(year)
        market = np.random.default_rng(year).normal(0.0004, 0.01, len(sessions))
        noise = generator.normal(0.0, _DEVIATION, len(sessions))
        model = market + noise + ratio / np.sqrt(252) * _DEVIATION
        series = {name: market + generator.normal(0.0, _DEVIATION, len(sessions)) for name in BASELINES[kind]}
        series |= {"model": model, "model_costs_doubled": model - costs, REFERENCE[kind]: market}
        add_returns(
            session,
            trial_id=trial_id,
            year=year,
            series={name: ReturnSeries(sessions, values) for name, values in series.items() if name not in without},
        )
    return trial_id


def create_candidate(
    session: Session,
    *,
    ratio: float = 0.0,
    others: int = 3,
    kind: str = "screener",
    strategy: str = "momentum_largecap",
    year: int = 2017,
    version: int = 1,
    seed: int = 1,
    **fields: Any,
) -> ModelVersion:
    """The fold of `year`, with folds and returns of the years before it, and `others` configurations without skill."""
    trial_id = create_trial(session, kind=kind, strategy=strategy, ratio=ratio, seed=seed)
    for other in range(others):
        create_trial(session, kind=kind, strategy=strategy, seed=100 + other, without=_SIMPLE_AND_DOUBLED)
    made = {"kind": kind, "strategy": strategy, "trial_id": trial_id, "metrics": {"degeneracy": []}, **fields}
    for number, past in enumerate(past for past in YEARS if past < year):
        create_model(session, year=past, version=100 * version + number, **made)
    return create_model(session, year=year, version=version, **made)


def create_audit(session: Session, *, status: str = "clean") -> None:
    """A run of the leak probes over the code as it is."""
    probe = {"name": "prefix invariance", "status": status, "is_required": True}
    record_leak_audit(session, as_of=date(2017, 1, 3), probes=[probe])


def create_reading(session: Session, model: ModelVersion, *, on: date, is_alarm: bool = False) -> None:
    """One reading of the drift of what the model reads."""
    session.add(
        DriftReading(
            session_on=on,
            subject_kind=model.kind,
            subject=model.name,
            model_version_id=model.model_version_id,
            measure="inputs",
            value=0.5 if is_alarm else 0.0,
            threshold=0.2,
            p_value=None,
            is_alarm=is_alarm,
            summary="its inputs have moved" if is_alarm else "calm",
        )
    )
    session.flush()
