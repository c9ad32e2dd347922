"""Evidence for the gate, gathered from rows as of a date. Nobody hands in a figure: all of it was recorded.

Out of sample throughout: the years of a version's trial were judged by folds that were trained on earlier years.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from database.queries.models import folds_of_trial
from database.queries.trials import read_returns, strategies_of_trials
from database.session import Session
from database.tables.models import ModelVersion
from quant import bootstrap, overfitting, sharpe, stats
from registry import gate
from registry.drift_state import DriftState, drift_state
from registry.gate import Evidence, Purge
from registry.leaks import LeakState, leak_state
from registry.trials import ReturnSeries, count_trials

Floats = npt.NDArray[np.float64]
Sessions = npt.NDArray[np.datetime64]
OWN, DOUBLED = "model", "model_costs_doubled"
# By kind: what the candidate's daily returns are less, and what else must be beaten.
REFERENCE = {"screener": "universe", "allocator": "equal_weight"}
BASELINES = {
    "screener": ("plain",),
    "allocator": ("equal_weight", "inverse_volatility", "minimum_variance", "maximum_sharpe", "risk_parity", "hrp"),
}
# Whoever differs from the reference by less than this a day, one standard deviation, is the reference.
_CLONE_DEVIATION = 1e-6


@dataclass(frozen=True)
class Circumstances:
    """What a verdict rests on beside returns, cheap to look up: where it has changed, the gate judges anew."""

    trials: int
    leaks: LeakState
    drift: DriftState
    rules: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without what changes nothing."""
        return {
            "trials": self.trials,
            "leaks": self.leaks.status,
            "leak_audit_id": self.leaks.leak_audit_id,
            "probed_code": self.leaks.code_hash,
            "drift": self.drift.state,
            "gate_code": self.rules,
        }


class Docket:
    """What all versions of a kind share on a date: the count of trials, the audit of the code as it is, and what every
    trial earned, which is read when it is first asked for."""

    def __init__(self, session: Session, *, kind: str, as_of: date) -> None:
        self.kind, self.as_of = kind, as_of
        self.trials = count_trials(session, kind=kind)
        self.leaks = leak_state(session)
        self._session = session

    @cached_property
    def tried(self) -> list[tuple[str, ReturnSeries]]:
        """(strategy, active returns) of every trial of the kind that has both series."""
        reference = REFERENCE[self.kind]
        strategies = strategies_of_trials(self._session, kind=self.kind)
        returns = read_returns(self._session, kind=self.kind, through_on=self.as_of, series=(OWN, reference))
        tried = [(strategies[trial_id], _less(series, OWN, reference)) for trial_id, series in sorted(returns.items())]
        return [(strategy, active) for strategy, active in tried if len(active.sessions)]

    @cached_property
    def ratios(self) -> Floats:
        """Sharpe ratios a session of those that vary."""
        moving = [active.returns for _, active in self.tried if len(active.returns) > 1 and active.returns.std() > 0]
        return np.array([returns.mean() / returns.std(ddof=1) for returns in moving])

    def circumstances(self, drift: DriftState) -> Circumstances:
        """With the drift of one version's inputs."""
        return Circumstances(trials=self.trials, leaks=self.leaks, drift=drift, rules=_gate_code_hash())


def drift_of_inputs(session: Session, model: ModelVersion, *, as_of: date) -> DriftState:
    """The newest word on the drift of what the version reads."""
    return drift_state(session, name=model.name, as_of=as_of, model_version_id=model.model_version_id)


@cache
def _gate_code_hash() -> str:
    """SHA-256 over the code that judges."""
    files = [module.__file__ for module in (gate, bootstrap, overfitting, sharpe, stats)]
    return sha256(b"".join(Path(file).read_bytes() for file in files if file)).hexdigest()


def gather(session: Session, model: ModelVersion, docket: Docket, now: Circumstances) -> Evidence:
    """All that speaks for and against a version on the docket's date; what was not recorded is absent and proves
    nothing."""
    reference = REFERENCE[model.kind]
    own = _own_returns(session, model, as_of=docket.as_of)
    active = _less(own, OWN, reference)
    returns = _on(own.get(OWN, _NOTHING), active.sessions)
    side_by_side = [series for strategy, series in docket.tried if strategy == model.strategy]
    return Evidence(
        kind="screener" if model.kind == "screener" else "allocator",
        strategy=model.strategy,
        as_of=docket.as_of,
        reference=reference,
        sessions=active.sessions,
        returns=returns if returns is not None else np.empty(0),
        active=active.returns,
        active_costs_doubled=_on(_less(own, DOUBLED, reference), active.sessions),
        baselines=_baselines(own, model.kind, active.sessions),
        trials=now.trials,
        trial_ratios=docket.ratios,
        trial_active=_side_by_side(side_by_side, active.sessions),
        leaks=now.leaks.status,
        leak_findings=() if now.leaks.status == "clean" else (now.leaks.reason,),
        degeneracies=_degeneracies(model, active.returns),
        drift_alarms={"calm": (), "alarm": (now.drift.sentence,), "unknown": None}[now.drift.state],
        purges=_purges(session, model, active.sessions),
    )


def summary(evidence: Evidence, now: Circumstances, *, trial_id: int | None) -> dict[str, Any]:
    """What is kept beside the verdict: where the figures came from and over which sessions, as JSON-ready values."""
    dates = [str(day) for day in evidence.sessions[[0, -1]]] if len(evidence.sessions) else [None, None]
    columns = evidence.trial_active
    return {
        "trial_id": trial_id,
        "reference": evidence.reference,
        "from_on": dates[0],
        "to_on": dates[1],
        "sessions": len(evidence.sessions),
        "baselines": sorted(evidence.baselines),
        "trials_with_returns": len(evidence.trial_ratios),
        "trials_side_by_side": 0 if columns is None else columns.shape[1],
        "degeneracies": None if evidence.degeneracies is None else list(evidence.degeneracies),
        "purges": [
            [str(purge.last_label_on), str(purge.first_test_on), str(purge.last_test_on)] for purge in evidence.purges
        ],
        "series_sha256": _digest(evidence),
        "circumstances": now.as_dict(),
    }


def summary_hash(content: Mapping[str, Any]) -> str:
    """The same for the same evidence, whatever the date of the judgement."""
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _digest(evidence: Evidence) -> str:
    digest = sha256(evidence.sessions.astype("datetime64[D]").astype(np.int64).tobytes())
    parts: list[Floats | None] = [
        evidence.returns,
        evidence.active,
        evidence.active_costs_doubled,
        *(evidence.baselines[name] for name in sorted(evidence.baselines)),
        evidence.trial_ratios,
        evidence.trial_active,
    ]
    for part in parts:
        digest.update(b"none" if part is None else str(part.shape).encode() + np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


_NOTHING = ReturnSeries(np.empty(0, dtype="datetime64[D]"), np.empty(0))


def _own_returns(session: Session, model: ModelVersion, *, as_of: date) -> Mapping[str, ReturnSeries]:
    """Every series of the version's configuration; none where it was recorded without one."""
    if model.trial_id is None:
        return {}
    return read_returns(session, kind=model.kind, trial_ids=[model.trial_id], through_on=as_of).get(model.trial_id, {})


def _less(series: Mapping[str, ReturnSeries], name: str, reference: str) -> ReturnSeries:
    """One series less another on the sessions that both have."""
    left, right = series.get(name, _NOTHING), series.get(reference, _NOTHING)
    common, at_left, at_right = np.intersect1d(left.sessions, right.sessions, assume_unique=True, return_indices=True)
    return ReturnSeries(common, left.returns[at_left] - right.returns[at_right])


def _on(series: ReturnSeries, sessions: Sessions) -> Floats | None:
    """The returns of these very sessions; None where one is missing."""
    place = np.searchsorted(series.sessions, sessions)
    if len(series.sessions) == 0 or len(sessions) == 0 or place[-1] >= len(series.sessions):
        return None
    if not np.array_equal(series.sessions[place], sessions):
        return None
    return series.returns[place]


def _baselines(own: Mapping[str, ReturnSeries], kind: str, sessions: Sessions) -> dict[str, Floats]:
    """All the simple rules or none: the best of those that happen to be there may not be the best."""
    found = {name: _on(own.get(name, _NOTHING), sessions) for name in BASELINES[kind]}
    whole = {name: returns for name, returns in found.items() if returns is not None}
    return whole if len(whole) == len(found) else {}


def _side_by_side(tried: Sequence[ReturnSeries], sessions: Sessions) -> Floats | None:
    """(sessions, trials), of the trials that have all of the sessions; None where none has."""
    columns = [returns for series in tried if (returns := _on(series, sessions)) is not None]
    return np.column_stack(columns) if columns else None


def _degeneracies(model: ModelVersion, active: Floats) -> tuple[str, ...] | None:
    """What the training found wrong with the model, and whether its portfolio is the reference's; None: nobody looked.

    A screener cannot choose weights, so nothing but its portfolio can be degenerate.
    """
    if len(active) == 0:
        return None
    found = model.metrics.get("degeneracy", [] if model.kind == "screener" else None)
    if found is None:
        return None
    clone = [f"its portfolio is that of {REFERENCE[model.kind]}"] if active.std() < _CLONE_DEVIATION else []
    return (*(str(finding) for finding in found), *clone)


def _purges(session: Session, model: ModelVersion, sessions: Sessions) -> tuple[Purge, ...]:
    """By fold of the configuration, its last label and the sessions in whose service it was judged.

    Of several trainings of one fold the latest label counts. Sessions that no stored fold served are in none.
    """
    if model.trial_id is None:
        return ()
    labels: dict[date, date] = {}
    ends: dict[date, date] = {}
    for fold in folds_of_trial(session, trial_id=model.trial_id):
        labels[fold.valid_from_on] = max(fold.last_label_on, labels.get(fold.valid_from_on, fold.last_label_on))
        ends[fold.valid_from_on] = fold.valid_to_on
    starts = sorted(labels)
    purges = []
    for start, following in zip(starts, [*starts[1:], date.max], strict=True):
        judged = sessions[(sessions >= np.datetime64(start)) & (sessions < np.datetime64(min(ends[start], following)))]
        if len(judged):
            purges.append(Purge(labels[start], judged[0].astype(date), judged[-1].astype(date)))
    return tuple(purges)
