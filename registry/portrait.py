"""Everything that is known of a model, for people: versions, roles, the gate's word in numbers, drift, lineage.

Every figure is out of sample, net of costs and hypothetical, and stands beside its period and the number of trials.
Nothing shorter than a year is annualised.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import Refused
from database.queries.models import find_versions
from database.queries.roles import role_history
from database.queries.shadow import lane_days
from database.queries.trials import ReturnSeries, read_returns
from database.queries.verdicts import newest_verdicts
from database.session import Session
from database.tables.models import ModelVersion
from database.tables.shadow import START_CENTS
from database.tables.verdicts import GateVerdict
from quant.stats import SESSIONS_A_YEAR, daily_returns, measure_performance
from registry.alerts import open_alerts
from registry.decisions import version_named, versions_named
from registry.drift_state import DriftState
from registry.evidence import OWN, REFERENCE, drift_of_inputs
from registry.roles import Standing, standing

NOTE = "out of sample, net of costs, hypothetical"
NOT_JUDGED = "not judged"


@dataclass(frozen=True)
class Gate:
    """The gate's word on a version, in words and numbers; `checks` hold value and bar of each question."""

    verdict: str
    reason: str
    as_of: date | None
    trials: int | None
    from_on: str | None
    to_on: str | None
    sessions: int
    deflated_sharpe: float | None
    overfitting: float | None
    checks: tuple[Mapping[str, Any], ...]

    @property
    def basis(self) -> str:
        """What the figures rest on, in a line."""
        if not self.sessions:
            return "no out-of-sample returns are recorded"
        return f"{NOTE}; {self.from_on} to {self.to_on}, {self.sessions} sessions, {self.trials} trials"


@dataclass(frozen=True)
class Record:
    """What one series of a trial earned over its sessions; fractions. None where a year is not reached."""

    series: str
    from_on: date
    to_on: date
    sessions: int
    total_return: float
    annual_return: float | None
    annual_volatility: float | None
    sharpe: float | None
    drawdown_max: float


@dataclass(frozen=True)
class VersionPortrait:
    """One version: what it is, what it was made from, which aliases it has, what the gate says, what it earned."""

    version: int
    algorithm: str
    aliases: tuple[str, ...]
    valid_from_on: date
    valid_to_on: date
    trained_from_on: date
    trained_to_on: date
    last_label_on: date
    lineage: Mapping[str, str | int | None]
    gate: Gate
    record: tuple[Record, ...]


@dataclass(frozen=True)
class RoleLine:
    """One change in the history of a name's roles."""

    effective_on: date
    role: str
    action: str
    version: int | None
    reason: str
    actor: str
    second_actor: str | None


@dataclass(frozen=True)
class Portrait:
    """A model and all its versions, newest first, as of a date."""

    name: str
    kind: str
    strategy: str
    as_of: date
    newest: int
    champion: int | None
    challenger: int | None
    on_hold: int | None
    drift: DriftState
    alerts: tuple[str, ...]
    shadow: tuple[Record, ...]
    versions: tuple[VersionPortrait, ...]
    history: tuple[RoleLine, ...]


@dataclass(frozen=True)
class ModelLine:
    """A model in a list: its newest version that had begun to serve, who has the roles, what the gate says."""

    name: str
    kind: str
    strategy: str
    versions: int
    newest: int
    champion: int | None
    challenger: int | None
    verdict: str
    reason: str
    basis: str
    drift: str
    alerts: int


def list_models(session: Session, *, as_of: date) -> list[ModelLine]:
    """Every model by name, as it stands on `as_of`."""
    by_name: dict[str, list[ModelVersion]] = {}
    for row in find_versions(session):
        by_name.setdefault(row.name, []).append(row)
    alerts = [alert.subject for alert in open_alerts(session)]
    return [_line(session, versions, alerts, as_of) for versions in by_name.values()]


def _line(session: Session, versions: list[ModelVersion], alerts: Collection[str], as_of: date) -> ModelLine:
    newest = _newest(versions, as_of)
    champion, challenger, _ = _holders(session, versions, as_of)
    verdict = newest_verdicts(session, model_version_ids=[newest.model_version_id], as_of=as_of)
    gate = _gate(verdict.get(newest.model_version_id))
    return ModelLine(
        name=newest.name,
        kind=newest.kind,
        strategy=newest.strategy,
        versions=len(versions),
        newest=newest.version,
        champion=champion,
        challenger=challenger,
        verdict=gate.verdict,
        reason=gate.reason,
        basis=gate.basis,
        drift=drift_of_inputs(session, newest, as_of=as_of).state,
        alerts=sum(subject == newest.name for subject in alerts),
    )


def show_model(session: Session, *, name: str, as_of: date) -> Portrait:
    """All versions of a model with their verdicts, records and lineage. UnknownName for a name no model has."""
    versions = versions_named(session, name=name)
    newest = _newest(versions, as_of)
    champion, challenger, held = _holders(session, versions, as_of)
    return Portrait(
        name=name,
        kind=newest.kind,
        strategy=newest.strategy,
        as_of=as_of,
        newest=newest.version,
        champion=champion,
        challenger=challenger,
        on_hold=held,
        drift=drift_of_inputs(session, newest, as_of=as_of),
        alerts=tuple(f"{alert.severity}: {alert.text}" for alert in open_alerts(session, subject=name)),
        shadow=_shadow(session, newest, as_of),
        versions=tuple(_portraits(session, sorted(versions, key=_age, reverse=True), champion, challenger, as_of)),
        history=tuple(_history(session, versions)),
    )


def to_compare(session: Session, *, name: str, as_of: date) -> tuple[int, int]:
    """Version numbers of champion and challenger. Refused where they are not two."""
    champion, challenger, held = _holders(session, versions_named(session, name=name), as_of)
    office = champion or held
    if office is None or challenger is None or office == challenger:
        raise Refused(
            f"{name} has champion {office or 'nobody'} and challenger {challenger or 'nobody'} on {as_of}: name two"
            " versions to compare"
        )
    return office, challenger


def compare_versions(session: Session, *, name: str, versions: tuple[int, int], as_of: date) -> list[VersionPortrait]:
    """Two versions of a model side by side."""
    chosen = [version_named(session, name=name, version=version) for version in versions]
    champion, challenger, _ = _holders(session, versions_named(session, name=name), as_of)
    return _portraits(session, chosen, champion, challenger, as_of)


def _newest(versions: list[ModelVersion], as_of: date) -> ModelVersion:
    """The version trained last of those whose service has begun; the very last where none has."""
    begun = [row for row in versions if row.valid_from_on <= as_of]
    return max(begun or versions, key=_age)


def _age(model: ModelVersion) -> tuple[date, int]:
    """A later fold is newer, and of one fold the later training."""
    return model.valid_from_on, model.version


def _holders(session: Session, versions: list[ModelVersion], as_of: date) -> tuple[int | None, int | None, int | None]:
    """Version numbers of champion, challenger and held champion among those that may serve on that date."""
    now: Standing = standing(role_history(session, name=versions[0].name), as_of=as_of)
    numbers = {row.model_version_id: row.version for row in versions if row.valid_from_on <= as_of < row.valid_to_on}
    return numbers.get(now.champion or 0), numbers.get(now.challenger or 0), numbers.get(now.held or 0)


def _portraits(
    session: Session, versions: list[ModelVersion], champion: int | None, challenger: int | None, as_of: date
) -> list[VersionPortrait]:
    verdicts = newest_verdicts(session, model_version_ids=[row.model_version_id for row in versions], as_of=as_of)
    records: dict[int | None, tuple[Record, ...]] = {None: ()}
    for model in versions:
        if model.trial_id not in records:
            records[model.trial_id] = _records(session, model, as_of)
    return [
        VersionPortrait(
            version=model.version,
            algorithm=model.algorithm,
            aliases=tuple(
                alias
                for alias, version in (("champion", champion), ("challenger", challenger))
                if version == model.version
            ),
            valid_from_on=model.valid_from_on,
            valid_to_on=model.valid_to_on,
            trained_from_on=model.train_from_on,
            trained_to_on=model.train_to_on,
            last_label_on=model.last_label_on,
            lineage=lineage(model),
            gate=_gate(verdicts.get(model.model_version_id)),
            record=records[model.trial_id],
        )
        for model in versions
    ]


def lineage(model: ModelVersion) -> dict[str, str | int | None]:
    """What a version was made from and where it lies."""
    return {
        "model_version_id": model.model_version_id,
        "trial_id": model.trial_id,
        "feature_hash": model.feature_hash,
        "input_hash": model.input_hash,
        "code_commit": model.code_commit,
        "artefact_sha256": model.artefact_sha256,
        "artefact_dir": model.artefact_dir,
        "tracking_run_id": model.tracking_run_id,
    }


def _gate(verdict: GateVerdict | None) -> Gate:
    if verdict is None:
        return Gate(NOT_JUDGED, "the gate has not judged it", None, None, None, None, 0, None, None, ())
    values = {check["name"]: check["value"] for check in verdict.checks}
    return Gate(
        verdict=verdict.verdict,
        reason=verdict.reason,
        as_of=verdict.as_of,
        trials=verdict.trials,
        from_on=verdict.evidence.get("from_on"),
        to_on=verdict.evidence.get("to_on"),
        sessions=verdict.evidence.get("sessions", 0),
        deflated_sharpe=values.get("deflated_sharpe"),
        overfitting=values.get("overfitting"),
        checks=tuple(verdict.checks),
    )


def _records(session: Session, model: ModelVersion, as_of: date) -> tuple[Record, ...]:
    """The model's own series, then what it is held against, then the others by name; seeds are left out."""
    assert model.trial_id is not None
    series = read_returns(session, kind=model.kind, trial_id=model.trial_id, through_on=as_of).get(model.trial_id, {})
    first = (OWN, REFERENCE[model.kind])
    names = [*first, *sorted(name for name in series if name not in first and not name.startswith("seed-"))]
    return tuple(_record(name, series[name]) for name in names if name in series and len(series[name].sessions))


def _shadow(session: Session, model: ModelVersion, as_of: date) -> tuple[Record, ...]:
    """What each lane's book has made of itself since the version's service began; never annualised."""
    lanes = lane_days(
        session,
        strategies=[model.strategy],
        first_on=model.valid_from_on,
        last_on=min(as_of, model.valid_to_on - timedelta(days=1)),
        start_cents=START_CENTS,
    )
    records = []
    for (_, lane), days in sorted(lanes.items()):
        begun = max((place for place, day in enumerate(days) if day.is_start), default=0)
        book = days[begun:]
        if len(book) < 2:
            continue
        values = np.array([day.value_cents for day in book], dtype=np.float64)
        whole = ReturnSeries(np.array([day.session_on for day in book[1:]], "datetime64[D]"), daily_returns(values))
        records.append(replace(_record(lane, whole), annual_return=None, annual_volatility=None, sharpe=None))
    return tuple(records)


def _record(name: str, series: ReturnSeries) -> Record:
    values: npt.NDArray[np.float64] = np.concatenate([[1.0], np.cumprod(1.0 + series.returns)])
    measures = measure_performance(values)
    a_year = measures.sessions >= SESSIONS_A_YEAR
    return Record(
        series=name,
        from_on=series.sessions[0].astype(date),
        to_on=series.sessions[-1].astype(date),
        sessions=measures.sessions,
        total_return=measures.total_return,
        annual_return=measures.annual_return if a_year else None,
        annual_volatility=measures.annual_volatility if a_year else None,
        sharpe=measures.sharpe if a_year else None,
        drawdown_max=measures.drawdown_max,
    )


def _history(session: Session, versions: list[ModelVersion]) -> list[RoleLine]:
    numbers = {row.model_version_id: row.version for row in versions}
    return [
        RoleLine(
            effective_on=row.effective_on,
            role=row.role,
            action=row.action,
            version=numbers.get(row.model_version_id or 0),
            reason=row.reason,
            actor=row.actor,
            second_actor=row.second_actor,
        )
        for row in role_history(session, name=versions[0].name)
    ]
