"""What people decide about who serves: promote, override, roll back, hold, release. Dated forward, never back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from core.errors import DataMissing, InputError, UnknownName
from database.queries.bars import last_session_on
from database.queries.models import find_versions
from database.session import Session
from database.tables.models import ModelVersion
from database.tables.roles import ModelRole
from registry import roles
from registry.verdicts import judge_version


@dataclass(frozen=True)
class Decision:
    """One change of a role as it was written; `version` None: nobody has the role from `effective_on` on."""

    name: str
    action: str
    role: str
    version: int | None
    effective_on: date
    reason: str
    actor: str
    second_actor: str | None


def hear_gate(session: Session, *, name: str, version: int, effective_on: date | None = None) -> None:
    """Have the gate judge the version as of the date of a change to be; to be kept even if the change is refused.

    `effective_on`: by default the newest session, or the first day on which the version may serve.
    """
    model = version_named(session, name=name, version=version)
    day = _day(session, name, effective_on, begins_on=model.valid_from_on)
    judge_version(session, model=model, as_of=day)


def promote_version(
    session: Session, *, name: str, version: int, actor: str, effective_on: date | None = None
) -> Decision:
    """Make a version champion if the gate, which is heard first, passes it. Raises Refused with the gate's words."""
    hear_gate(session, name=name, version=version, effective_on=effective_on)
    model = version_named(session, name=name, version=version)
    day = _day(session, name, effective_on, begins_on=model.valid_from_on)
    roles.require_newest(session, name=name, effective_on=day)
    roles.register(session, model=model, effective_on=day, actor=actor)
    row = roles.promote(session, model=model, effective_on=day, actor=actor)
    if row is None:
        raise InputError(f"version is {version}: it is the champion of {name} on {day} already")
    return _told(session, row)


def ask_override(
    session: Session, *, name: str, version: int, by: str, reason: str, effective_on: date | None = None
) -> Decision:
    """The first of two people asks that the version be champion whatever the gate says; the gate is heard first."""
    hear_gate(session, name=name, version=version, effective_on=effective_on)
    model = version_named(session, name=name, version=version)
    day = _day(session, name, effective_on, begins_on=model.valid_from_on)
    return _told(session, roles.request_override(session, model=model, effective_on=day, by=by, reason=reason))


def confirm_override(session: Session, *, name: str, version: int, by: str) -> Decision:
    """The second person confirms; the version is champion from the date that the first one named."""
    model = version_named(session, name=name, version=version)
    return _told(session, roles.confirm_override(session, model=model, by=by))


def roll_back_champion(
    session: Session, *, name: str, by: str, reason: str, to_nobody: bool = False, effective_on: date | None = None
) -> Decision:
    """Take the champion out, back to the one before it or to nobody."""
    _require_address(by)
    day = _forward(session, name, effective_on)
    return _told(
        session,
        roles.rollback(session, name=name, effective_on=day, actor=by, reason=reason, to_nobody=to_nobody),
    )


def hold_champion(session: Session, *, name: str, by: str, reason: str, effective_on: date | None = None) -> Decision:
    """Take the champion out of service until it is released."""
    return _on_champion(roles.hold, session, name, by, reason, effective_on)


def release_champion(
    session: Session, *, name: str, by: str, reason: str, effective_on: date | None = None
) -> Decision:
    """Put a held champion back into service."""
    return _on_champion(roles.release, session, name, by, reason, effective_on)


def soonest(session: Session, *, name: str, today: date, version: int | None = None) -> date:
    """The first day from `today` on for which a change may be decided: not before the last one, nor before service."""
    versions = {row.version: row for row in versions_named(session, name=name)}
    begins_on = versions[version].valid_from_on if version in versions else date.min
    return max(today, begins_on, roles.last_changed_on(session, name=name) or date.min)


def version_named(session: Session, *, name: str, version: int) -> ModelVersion:
    """One version of a model. UnknownName for any other name or number."""
    numbers = {row.version: row for row in versions_named(session, name=name)}
    if version not in numbers:
        raise UnknownName(f"version of {name}", str(version), [str(number) for number in numbers])
    return numbers[version]


def versions_named(session: Session, *, name: str) -> list[ModelVersion]:
    """Every version of a model, oldest first. UnknownName for a name that no model has."""
    versions = find_versions(session, name=name)
    if not versions:
        raise UnknownName("model", name, sorted({row.name for row in find_versions(session)}))
    return versions


def newest_session(session: Session) -> date:
    """The newest session with bars: today, as far as models are concerned. DataMissing where there are no bars."""
    newest = last_session_on(session)
    if newest is None:
        raise DataMissing("there are no bars, so no session to look at models as of: acis data load-sample")
    return newest


def _on_champion(
    change: Callable[..., ModelRole], session: Session, name: str, by: str, reason: str, effective_on: date | None
) -> Decision:
    _require_address(by)
    day = _forward(session, name, effective_on)
    return _told(session, change(session, name=name, effective_on=day, actor=by, reason=reason))


def _require_address(by: str) -> None:
    """People sign with their address, which also tells their changes from those of the platform's own rules."""
    if "@" not in by:
        raise InputError(f"by is {by!r}: give the e-mail address of who decides")


def _forward(session: Session, name: str, effective_on: date | None) -> date:
    versions_named(session, name=name)
    day = _day(session, name, effective_on, begins_on=date.min)
    roles.require_newest(session, name=name, effective_on=day)
    return day


def _day(session: Session, name: str, effective_on: date | None, *, begins_on: date) -> date:
    """The date of a change: the newest session, or later only where service or the last change begins after it."""
    last = roles.last_changed_on(session, name=name) or date.min
    latest = max(newest_session(session), begins_on, last)
    if effective_on is not None and effective_on > latest:
        raise InputError(f"effective_on is {effective_on}: nothing is decided for days after {latest}")
    return effective_on or latest


def _told(session: Session, row: ModelRole) -> Decision:
    numbers = {model.model_version_id: model.version for model in find_versions(session, name=row.name)}
    return Decision(
        name=row.name,
        action=row.action,
        role=row.role,
        version=numbers.get(row.model_version_id or 0),
        effective_on=row.effective_on,
        reason=row.reason,
        actor=row.actor,
        second_actor=row.second_actor,
    )
