"""Read the drift of features and models on a session, and put what alarms before people."""

import time
from datetime import date
from typing import Any

from core.jobs import Ticket, WatchDrift
from core.progress import Progress, silent
from database.session import transaction
from ml_models.outcomes import outcomes
from mlops.once import run_once, session_asked_for
from registry.alerts import raise_alert, settle_alerts
from registry.drift import DriftReport, ModelDrift, read_drift

_BOOK = "models"  # models belong to no account's book
STEPS = ("outcomes", "reading", "alerts")
ALARM = "has drifted: `acis drift show` says how"
NOTICE = "alarms about drift, too few nights to act on: `acis drift show` says how"


def run_watch_drift(*, as_of: date | None = None, progress: Progress = silent) -> dict[str, Any]:
    """Read every feature and every model that serves, runs in shadow or could on the session `as_of`.

    Default: the newest session. A session that was read is not read again: its stored answer comes back. Raises
    NotASession, and DataMissing where bars or features are not there.
    """
    day = session_asked_for(as_of)
    return run_once(WatchDrift.name, day, _BOOK, lambda: _watch(day, progress))


def _watch(as_of: date, progress: Progress) -> tuple[dict[str, Any], dict[str, float]]:
    """(what was read as JSON, seconds by step)."""
    marks = [time.perf_counter()]
    progress("watch drift", 0, len(STEPS))
    said = outcomes(as_of=as_of)
    marks.append(time.perf_counter())
    progress("watch drift", 1, len(STEPS))
    with transaction() as session:
        report = read_drift(session, as_of=as_of, outcomes=said)
    marks.append(time.perf_counter())
    progress("watch drift", 2, len(STEPS))
    for model in report.models:
        _tell(model, as_of)
    marks.append(time.perf_counter())
    progress("watch drift", 3, len(STEPS))
    seconds = {step: round(later - earlier, 4) for step, earlier, later in zip(STEPS, marks, marks[1:], strict=False)}
    return _answer(report), seconds


def _tell(model: ModelDrift, as_of: date) -> None:
    """Alert about a model that has drifted or begins to; settle what is over."""
    details = {"session_on": as_of.isoformat(), "version": model.version, "sentences": list(model.alarms)}
    with transaction() as session:
        if model.state == "alarm":
            raise_alert(session, severity="warning", subject=model.name, text=ALARM, details=details)
        else:
            settle_alerts(session, subject=model.name, text=ALARM)
        if model.alarms and model.state != "alarm":
            raise_alert(session, severity="notice", subject=model.name, text=NOTICE, details=details)
        else:
            settle_alerts(session, subject=model.name, text=NOTICE)


def _answer(report: DriftReport) -> dict[str, Any]:
    return {
        "session_on": report.session_on.isoformat(),
        "features": report.features,
        "features_drifted": len(report.drifted),
        "models": [
            {
                "name": model.name,
                "version": model.version,
                "state": model.state,
                "alarms": len(model.alarms),
                "sentence": model.sentence,
            }
            for model in report.models
        ],
    }


def perform(job: WatchDrift, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in."""
    return run_watch_drift(as_of=job.as_of, progress=ticket.progress)
