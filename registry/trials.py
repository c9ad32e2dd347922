"""The count of trials, which nobody may hand in: every configuration that was trained, tuned or logged is a row."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np

from core.errors import InputError
from database.queries import trials as queries
from database.queries.trials import ReturnSeries
from database.session import Session

__all__ = ["ReturnSeries", "add_returns", "count_trials", "record_trial"]


def record_trial(session: Session, *, kind: str, strategy: str, source: str, configuration: Mapping[str, Any]) -> int:
    """Note that a configuration was tried; the same configuration twice is one trial. Returns its id.

    `configuration` is everything that shapes the model except the dates of its fold, as JSON-ready values. `source`:
    training, tuning, or tracking (a run that somebody logged to MLflow by hand). Note it before the result is known,
    so that no failed attempt is forgotten.
    """
    digest = sha256(json.dumps(configuration, sort_keys=True).encode()).hexdigest()
    return queries.add_trial(
        session, kind=kind, strategy=strategy, source=source, configuration_hash=digest, configuration=configuration
    )


def add_returns(session: Session, *, trial_id: int, year: int, series: Mapping[str, ReturnSeries]) -> None:
    """Keep the daily returns of one out-of-sample year; see `database.tables.trials` for the names of the series.

    InputError for returns that are no numbers, and for sessions of another year or that do not rise.
    """
    for name, values in series.items():
        days = values.sessions.astype("datetime64[D]")
        if not np.isfinite(values.returns).all() or (np.diff(days.astype(np.int64)) <= 0).any():
            raise InputError(f"series {name!r} of trial {trial_id}: give one finite return a session, sessions rising")
        if (days.astype("datetime64[Y]").astype(np.int64) + 1970 != year).any():
            raise InputError(f"series {name!r} of trial {trial_id}: its sessions are not all of {year}")
    queries.put_returns(session, trial_id=trial_id, year=year, series=series)


def count_trials(session: Session, *, kind: str) -> int:
    """Every configuration of the kind ever tried, whoever tried it: the N of the deflated Sharpe ratio."""
    return queries.count_trials(session, kind=kind)
