"""Alarm, hold, retrain, judge, promote or keep: what follows from drift, each step in the run's row.

The policy: a model whose readings alarm on most of a week's nights has drifted. The gate then takes a champion out of
service (drift is one of its hard checks) and a new fold is trained on everything up to now; if its inputs are as they
were when it learned, it is judged like any other candidate. One retraining a model in 21 sessions: drift that a new
training does not cure is for people.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from core.jobs import RespondToDrift, Ticket
from core.progress import Progress, silent
from database.queries.drift import runs_between
from database.session import transaction
from market_data.calendars import next_session, sessions_between
from ml_models.outcomes import outcomes
from ml_models.service import StoredFold, plan_retraining, record_trials, store_fold, train_screeners
from mlops.once import run_once, session_asked_for
from registry.drift import read_drift, watched_versions
from registry.drift_state import drift_state
from registry.roles import standing_of
from registry.service import Candidate, judge_candidates

_BOOK = "models"  # models belong to no account's book
RETRAINING_SESSIONS = 21
STEPS = ("looking", "holding", "retraining", "reading", "judging")


@dataclass(frozen=True)
class Response:
    """What followed from one model's alarm. `retrained` and `verdict` are None where nothing was trained."""

    name: str
    version: int
    alarm: str
    on_hold: bool
    retrained: int | None
    verdict: str | None
    outcome: str
    decision: str


@dataclass(frozen=True)
class _Alarm:
    kind: str
    strategy: str
    name: str
    version: int
    sentence: str


class _Clockwork:
    """Seconds of each step, told to the listener."""

    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._begun = time.perf_counter()

    def done(self, step: str) -> None:
        """The step is over."""
        now = time.perf_counter()
        self.seconds[step] = round(now - self._begun, 4)
        self._begun = now
        self._progress("respond to drift", STEPS.index(step) + 1, len(STEPS))


def run_respond_to_drift(*, as_of: date | None = None, progress: Progress = silent) -> list[dict[str, Any]]:
    """Act on what was read up to the session `as_of` (default: the newest); returns one response a drifted model.

    A session that was acted on is not acted on again: its stored answer comes back. What is trained serves from the
    next session on, if the gate lets it.
    """
    day = session_asked_for(as_of)

    def answer() -> tuple[dict[str, Any], dict[str, float]]:
        clockwork = _Clockwork(progress)
        responses = [asdict(response) for response in _respond(day, clockwork)]
        return {"responses": responses}, clockwork.seconds

    return list(run_once(RespondToDrift.name, day, _BOOK, answer)["responses"])


def _respond(as_of: date, clockwork: _Clockwork) -> list[Response]:
    alarms = _alarms(as_of)
    clockwork.done("looking")
    if not alarms:
        return []
    with transaction() as session:
        judge_candidates(session, as_of=as_of)
    clockwork.done("holding")
    reasons = {alarm.name: _obstacle(alarm, as_of) for alarm in alarms}
    folds = _retrain([alarm.strategy for alarm in alarms if reasons[alarm.name] is None], as_of)
    clockwork.done("retraining")
    if folds:
        said = outcomes(as_of=as_of)
        with transaction() as session:
            read_drift(session, as_of=as_of, outcomes=said, model_version_ids=[fold.model_version_id for fold in folds])
    clockwork.done("reading")
    judged: list[Candidate] = []
    if folds:
        with transaction() as session:
            judged = judge_candidates(session, as_of=next_session(as_of))
    clockwork.done("judging")
    return [_response(alarm, reasons[alarm.name], folds, judged, as_of) for alarm in alarms]


def _alarms(as_of: date) -> list[_Alarm]:
    """The models that have drifted, the newest version of each name that is watched."""
    found: dict[str, _Alarm] = {}
    with transaction() as session:
        for model in watched_versions(session, as_of=as_of):
            state = drift_state(session, name=model.name, as_of=as_of, model_version_id=model.model_version_id)
            found.pop(model.name, None)
            if state.state == "alarm":
                found[model.name] = _Alarm(model.kind, model.strategy, model.name, model.version, state.sentence)
    return list(found.values())


def _obstacle(alarm: _Alarm, as_of: date) -> str | None:
    """Why the model is not trained anew tonight."""
    if alarm.kind != "screener":
        return "allocators are trained anew with the year's fold, from what the screeners then say"
    if next_session(as_of).year != as_of.year:
        return "the new year's fold begins to serve with the next session"
    recent = sessions_between(date(as_of.year - 1, 1, 1), as_of)[-RETRAINING_SESSIONS:]
    with transaction() as session:
        earlier = runs_between(session, job=RespondToDrift.name, first_on=recent[0], last_on=as_of)
    for run in earlier:
        if any(r["name"] == alarm.name and r["retrained"] is not None for r in run.result["responses"]):
            return f"it was trained anew on {run.as_of}, fewer than {RETRAINING_SESSIONS} sessions ago"
    return None


def _retrain(strategies: Sequence[str], as_of: date) -> list[StoredFold]:
    """New folds that serve from the next session on, each stored as soon as it is trained."""
    if not strategies:
        return []
    with transaction() as session:
        plan = plan_retraining(session, strategies=strategies, serve_from_on=next_session(as_of))
        record_trials(session, plan)
    folds = []
    for trained in train_screeners(plan):
        with transaction() as session:
            folds.append(store_fold(session, trained))
    return folds


def _response(
    alarm: _Alarm, obstacle: str | None, folds: Sequence[StoredFold], judged: Sequence[Candidate], as_of: date
) -> Response:
    with transaction() as session:
        on_hold = standing_of(session, name=alarm.name, as_of=next_session(as_of)).held is not None
    fold = next((fold for fold in folds if fold.strategy == alarm.strategy and alarm.kind == "screener"), None)
    said = next((one for one in judged if fold and one.model_version_id == fold.model_version_id), None)
    if said is None:
        decision = f"kept as it is: {obstacle or 'nothing new could be trained'}"
    elif said.outcome == "promoted":
        decision = f"promoted: {said.sentence}"
    else:
        decision = f"kept: the new version does not serve clients; {said.sentence}"
    return Response(
        name=alarm.name,
        version=alarm.version,
        alarm=alarm.sentence,
        on_hold=on_hold,
        retrained=fold.version if fold else None,
        verdict=said.verdict if said else None,
        outcome=said.outcome if said else "kept",
        decision=decision,
    )


def perform(job: RespondToDrift, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in."""
    return {"responses": run_respond_to_drift(as_of=job.as_of, progress=ticket.progress)}
