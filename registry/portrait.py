"""Everything that is known of a model, for people: versions, roles, the gate's word in numbers, drift, lineage.

Every figure is out of sample, net of costs and hypothetical, and stands beside its period and the number of trials.
Nothing shorter than a year is annualised.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from core.errors import Refused, UnknownName
from database.queries.models import version_heads
from database.queries.roles import changes_of_kind, role_history
from database.queries.verdicts import newest_verdicts
from database.session import Session
from database.tables.models import ModelVersion
from database.tables.roles import ModelRole
from database.tables.verdicts import GateVerdict
from registry.alerts import open_alerts
from registry.drift_state import DriftState, drift_states
from registry.evidence import REFERENCE, drift_of_inputs
from registry.records import NOTE, Record, shadow_records, trial_records
from registry.roles import Standing, standing

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
    for row in version_heads(session):
        by_name.setdefault(row.name, []).append(row)
    changes: dict[str, list[ModelRole]] = {}
    for change in (row for kind in REFERENCE for row in changes_of_kind(session, kind=kind, as_of=as_of)):
        changes.setdefault(change.name, []).append(change)
    newest = [_newest(versions, as_of) for versions in by_name.values()]
    verdicts = newest_verdicts(session, model_version_ids=[row.model_version_id for row in newest], as_of=as_of)
    drift = drift_states(session, newest, as_of=as_of)
    alerts = Counter(alert.subject for alert in open_alerts(session))
    return [
        _line(
            by_name[row.name],
            row,
            changes.get(row.name, []),
            _gate(verdicts.get(row.model_version_id)),
            drift[row.model_version_id].state,
            alerts[row.name],
            as_of,
        )
        for row in newest
    ]


def _line(
    versions: list[ModelVersion],
    newest: ModelVersion,
    changes: list[ModelRole],
    gate: Gate,
    drift: str,
    alerts: int,
    as_of: date,
) -> ModelLine:
    champion, challenger, _ = _holders(changes, versions, as_of)
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
        drift=drift,
        alerts=alerts,
    )


def show_model(session: Session, *, name: str, as_of: date) -> Portrait:
    """All versions of a model with their verdicts, records and lineage. UnknownName for a name no model has."""
    versions = _heads_named(session, name)
    newest = _newest(versions, as_of)
    changes = role_history(session, name=name)
    champion, challenger, held = _holders(changes, versions, as_of)
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
        shadow=shadow_records(session, newest, as_of=as_of),
        versions=tuple(_portraits(session, sorted(versions, key=_age, reverse=True), champion, challenger, as_of)),
        history=tuple(_history(changes, versions)),
    )


def to_compare(session: Session, *, name: str, as_of: date) -> tuple[int, int]:
    """Version numbers of champion and challenger. Refused where they are not two."""
    champion, challenger, held = _holders(role_history(session, name=name), _heads_named(session, name), as_of)
    office = champion or held
    if office is None or challenger is None or office == challenger:
        raise Refused(
            f"{name} has champion {office or 'nobody'} and challenger {challenger or 'nobody'} on {as_of}: name two"
            " versions to compare"
        )
    return office, challenger


def compare_versions(session: Session, *, name: str, versions: Sequence[int], as_of: date) -> list[VersionPortrait]:
    """Some versions of a model side by side. UnknownName for any other name or number."""
    known = {row.version: row for row in _heads_named(session, name)}
    for version in versions:
        if version not in known:
            raise UnknownName(f"version of {name}", str(version), [str(number) for number in known])
    chosen = [known[version] for version in versions]
    champion, challenger, _ = _holders(role_history(session, name=name), list(known.values()), as_of)
    return _portraits(session, chosen, champion, challenger, as_of)


def _heads_named(session: Session, name: str) -> list[ModelVersion]:
    """The model's versions without manifests and measures, which no portrait shows. UnknownName."""
    versions = version_heads(session, name=name)
    if not versions:
        raise UnknownName("model", name, sorted({row.name for row in version_heads(session)}))
    return versions


def _newest(versions: list[ModelVersion], as_of: date) -> ModelVersion:
    """The version trained last of those whose service has begun; the very last where none has."""
    begun = [row for row in versions if row.valid_from_on <= as_of]
    return max(begun or versions, key=_age)


def _age(model: ModelVersion) -> tuple[date, int]:
    """A later fold is newer, and of one fold the later training."""
    return model.valid_from_on, model.version


def _holders(
    changes: Sequence[ModelRole], versions: list[ModelVersion], as_of: date
) -> tuple[int | None, int | None, int | None]:
    """Version numbers of champion, challenger and held champion among those that may serve on that date."""
    now: Standing = standing(changes, as_of=as_of)
    numbers = {row.model_version_id: row.version for row in versions if row.valid_from_on <= as_of < row.valid_to_on}
    return numbers.get(now.champion or 0), numbers.get(now.challenger or 0), numbers.get(now.held or 0)


def _portraits(
    session: Session, versions: list[ModelVersion], champion: int | None, challenger: int | None, as_of: date
) -> list[VersionPortrait]:
    verdicts = newest_verdicts(session, model_version_ids=[row.model_version_id for row in versions], as_of=as_of)
    records = trial_records(session, versions, as_of=as_of)
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
            record=records.get(model.trial_id, ()),
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


def _history(changes: Sequence[ModelRole], versions: list[ModelVersion]) -> list[RoleLine]:
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
        for row in changes
    ]
