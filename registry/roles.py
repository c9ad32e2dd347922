"""Who serves: the champion and the challenger of each strategy on a date, and the only ways to become one.

A version is registered as challenger once the gate has judged it without a hard failure, and becomes champion by the
gate's pass or by two people who override the gate. Changes are appended, never edited; each says who has the role from
its date on, so that one of an earlier date, made by a replay, changes nothing after the next one. People's changes are
dated forward. Every change is in the audit trail.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from auth.audit import record
from core.errors import InputError, Refused
from database.queries import roles as queries
from database.queries.models import find_versions
from database.queries.users import find_user
from database.queries.verdicts import newest_verdict
from database.session import Session, advisory_lock
from database.tables.models import ModelVersion
from database.tables.roles import ModelRole
from database.tables.verdicts import GateVerdict

Role = Literal["champion", "challenger"]
PASS, FAIL = "pass", "fail"
OVERRIDERS = ("admin", "analyst")
REASON_LENGTH_MIN = 20


def champions(session: Session, *, kind: str, as_of: date) -> dict[str, ModelVersion]:
    """By strategy, the version that may reach clients on `as_of`; a strategy without one is absent."""
    return queries.holders(session, kind=kind, role="champion", as_of=as_of)


def challengers(session: Session, *, kind: str, as_of: date) -> dict[str, ModelVersion]:
    """By strategy, the version that runs in shadow on `as_of`."""
    return queries.holders(session, kind=kind, role="challenger", as_of=as_of)


def contenders(session: Session, *, kind: str, as_of: date) -> list[ModelVersion]:
    """Of each configuration of each strategy, the newest version that may serve on `as_of`, by strategy and version."""
    newest: dict[tuple[str, int | None], ModelVersion] = {}
    for model in queries.versions_in_service(session, kind=kind, as_of=as_of):
        rival = newest.get((model.strategy, model.trial_id))
        if rival is None or (rival.valid_from_on, rival.version) < (model.valid_from_on, model.version):
            newest[model.strategy, model.trial_id] = model
    return sorted(newest.values(), key=lambda model: (model.strategy, model.version))


@dataclass
class Standing:
    """A name's roles after some of its changes: version ids; `crowned` are the changes that made champions, in order.

    `held` is a champion on hold, `held_by` who put it there. `removed` were taken out of service, and only people
    bring those back.
    """

    champion: int | None = None
    challenger: int | None = None
    held: int | None = None
    held_by: str | None = None
    crowned: list[ModelRole] = field(default_factory=list)
    removed: set[int] = field(default_factory=set)

    def entitlement(self, model_version_id: int) -> ModelRole | None:
        """The change by which the version last became champion."""
        return next((row for row in reversed(self.crowned) if row.model_version_id == model_version_id), None)


def standing(changes: Iterable[ModelRole], *, as_of: date) -> Standing:
    """Where a name stands on `as_of` after all its changes, in any order. Whether folds are valid is not looked at."""
    now = Standing()
    for row in sorted(changes, key=lambda row: (row.effective_on, row.model_role_id)):
        if row.effective_on > as_of or row.action == "request_override":
            continue
        if row.role == "challenger":
            now.challenger = row.model_version_id if row.action == "register" else None
        else:
            _crown(now, row)
    return now


def _crown(now: Standing, row: ModelRole) -> None:
    if row.action in ("promote", "override"):
        now.crowned.append(row)
        now.removed.discard(row.model_version_id or 0)
    elif row.action == "rollback":
        now.removed |= {version for version in (now.champion, now.held) if version is not None}
    now.held, now.held_by = (row.model_version_id, row.actor) if row.action == "hold" else (None, None)
    now.champion = None if row.action == "hold" else row.model_version_id


def standing_of(session: Session, *, name: str, as_of: date) -> Standing:
    """Where a name stands on `as_of`."""
    return standing(queries.role_history(session, name=name), as_of=as_of)


def register(session: Session, *, model: ModelVersion, effective_on: date, actor: str) -> ModelRole | None:
    """Let a judged version run in shadow; None where it does already.

    Refused without a verdict by then, and unless all of its hard checks pass.
    """
    now = _open(session, model, effective_on)
    verdict = _verdict(session, model, effective_on)
    if not may_shadow(verdict):
        raise Refused(f"{_title(model)} is not registered: {verdict.reason}")
    if now.challenger == model.model_version_id:
        return None
    return _change(session, model, "challenger", "register", effective_on, verdict.reason, actor, verdict=verdict)


def may_shadow(verdict: GateVerdict) -> bool:
    """Whether the judged version may run beside the champion: nothing speaks against it, every hard check passes."""
    return verdict.verdict != FAIL and all(check["status"] == PASS for check in verdict.checks if check["is_hard"])


def retire(session: Session, *, model: ModelVersion, effective_on: date, actor: str, reason: str) -> None:
    """Let a challenger run no longer. Refused where it is not the challenger."""
    now = _open(session, model, effective_on)
    if now.challenger != model.model_version_id:
        raise Refused(f"{_title(model)} is not the challenger on {effective_on}: nothing to retire")
    _change(session, model, "challenger", "retire", effective_on, reason, actor)


def promote(
    session: Session, *, model: ModelVersion, effective_on: date, actor: str, reason: str | None = None
) -> ModelRole | None:
    """Make a version champion by the gate's word, or for a further `reason`; None where it is already.

    Refused unless the newest verdict of this version by then is a pass.
    """
    now = _open(session, model, effective_on)
    verdict = _verdict(session, model, effective_on)
    if verdict.verdict != PASS:
        raise Refused(
            f"{_title(model)} is not promoted: the gate says {verdict.verdict.replace('_', ' ')} as of {verdict.as_of}:"
            f" {verdict.reason}; two people may override it with a reason"
        )
    if now.champion == model.model_version_id:
        return None
    said = reason or verdict.reason
    return _change(session, model, "champion", "promote", effective_on, said, actor, verdict=verdict)


def request_override(session: Session, *, model: ModelVersion, effective_on: date, by: str, reason: str) -> ModelRole:
    """The first of two people asks to make a version champion against or without the gate's word.

    Refused for whoever is not an admin or analyst of the firm; InputError for a reason that says nothing.
    """
    _open(session, model, effective_on)
    require_newest(session, name=model.name, effective_on=effective_on)
    person = _overrider(session, by)
    if len(reason.strip()) < REASON_LENGTH_MIN:
        raise InputError(f"reason is {reason!r}: say in {REASON_LENGTH_MIN} letters or more why the gate is overridden")
    verdict = newest_verdict(session, model_version_id=model.model_version_id, as_of=effective_on)
    return _change(
        session, model, "champion", "request_override", effective_on, reason.strip(), person, verdict=verdict
    )


def confirm_override(session: Session, *, model: ModelVersion, by: str) -> ModelRole:
    """The second person confirms what the first asked for, and the version is champion from the date asked for.

    Refused for the same person, without an open request, and where the gate has judged anew since it was made.
    """
    advisory_lock(session, _lock(model.name))
    request = _open_request(queries.role_history(session, name=model.name), model)
    require_newest(session, name=model.name, effective_on=request.effective_on)
    person = _overrider(session, by)
    if person == request.actor:
        raise Refused(f"{person} asked for this override: a second person must confirm it")
    verdict = newest_verdict(session, model_version_id=model.model_version_id, as_of=request.effective_on)
    if (verdict.verdict_id if verdict else None) != request.verdict_id:
        raise Refused(f"the gate has judged {_title(model)} anew since the override was asked for: ask for it again")
    return _change(
        session,
        model,
        "champion",
        "override",
        request.effective_on,
        request.reason,
        request.actor,
        verdict=verdict,
        second_actor=person,
    )


def _open_request(changes: list[ModelRole], model: ModelVersion) -> ModelRole:
    """The newest request for the version that no champion's change has followed."""
    for row in sorted((row for row in changes if row.role == "champion"), key=lambda row: -row.model_role_id):
        if row.action != "request_override":
            break
        if row.model_version_id == model.model_version_id:
            return row
    raise Refused(
        f"nobody has asked to override the gate for {_title(model)}: the first person asks, the second confirms"
    )


def rollback(
    session: Session, *, name: str, effective_on: date, actor: str, reason: str, to_nobody: bool = False
) -> ModelRole:
    """Take the champion out: back to the champion before it that may still serve, else to nobody.

    Refused where there is no champion, in force or on hold, on that date.
    """
    now, model = _in_office(session, name, effective_on)
    earlier = None if to_nobody else _earlier(session, now, model, effective_on)
    return _change(
        session,
        model,
        "champion",
        "rollback",
        effective_on,
        reason,
        actor,
        verdict=earlier[1] if earlier else None,
        becomes=earlier[0] if earlier else None,
    )


def _earlier(
    session: Session, now: Standing, champion: ModelVersion, effective_on: date
) -> tuple[int, GateVerdict | None] | None:
    """The newest champion before this one that was not taken out, may serve on that date and has not failed since."""
    versions = {row.model_version_id: row for row in find_versions(session, name=champion.name)}
    out = now.removed | {champion.model_version_id}
    for row in reversed(now.crowned):
        model = versions.get(row.model_version_id or 0)
        if model is None or model.model_version_id in out or not _serves(model, effective_on):
            continue
        verdict = newest_verdict(session, model_version_id=model.model_version_id, as_of=effective_on)
        if row.action == "override" or (verdict is not None and verdict.verdict != FAIL):
            return model.model_version_id, verdict
    return None


def hold(session: Session, *, name: str, effective_on: date, actor: str, reason: str) -> ModelRole:
    """Take the champion out of service until it is released. Refused where there is none, or it is on hold already."""
    now, model = _in_office(session, name, effective_on)
    if now.held is not None:
        raise Refused(f"{_title(model)} is on hold already")
    return _change(session, model, "champion", "hold", effective_on, reason, actor)


def release(session: Session, *, name: str, effective_on: date, actor: str, reason: str) -> ModelRole:
    """Put a held champion back into service. Refused where none is on hold, or the gate has failed it since."""
    now, model = _in_office(session, name, effective_on)
    if now.held is None:
        raise Refused(f"{_title(model)} is not on hold: nothing to release")
    verdict = newest_verdict(session, model_version_id=model.model_version_id, as_of=effective_on)
    crowned = now.entitlement(model.model_version_id)
    if verdict is not None and verdict.verdict == FAIL and (crowned is None or crowned.action != "override"):
        raise Refused(f"{_title(model)} is not released: {verdict.reason}")
    return _change(session, model, "champion", "release", effective_on, reason, actor, verdict=verdict)


def _in_office(session: Session, name: str, effective_on: date) -> tuple[Standing, ModelVersion]:
    """The name's standing and its champion, in force or on hold."""
    advisory_lock(session, _lock(name))
    now = standing_of(session, name=name, as_of=effective_on)
    versions = {row.model_version_id: row for row in find_versions(session, name=name)}
    model = versions.get(now.champion or now.held or 0)
    if model is None or not _serves(model, effective_on):
        raise Refused(f"{name} has no champion on {effective_on}")
    return _open(session, model, effective_on), model


def _open(session: Session, model: ModelVersion, effective_on: date) -> Standing:
    """Lock the name's roles and see that the version may serve on that date; returns where the name stands then."""
    advisory_lock(session, _lock(model.name))
    if not _serves(model, effective_on):
        raise InputError(
            f"effective_on is {effective_on}: {_title(model)} may serve from {model.valid_from_on} up to, not"
            f" including, {model.valid_to_on}"
        )
    return standing_of(session, name=model.name, as_of=effective_on)


def last_changed_on(session: Session, *, name: str) -> date | None:
    """From which date the newest change of the name's roles counts; None where there was none."""
    changes = queries.role_history(session, name=name)
    return max((row.effective_on for row in changes if row.action != "request_override"), default=None)


def require_newest(session: Session, *, name: str, effective_on: date) -> None:
    """Refuse a date before the newest change of the name's roles: people do not write history."""
    last = last_changed_on(session, name=name)
    if last is not None and last > effective_on:
        raise Refused(
            f"the roles of {name} were last changed as of {last}: a change by people cannot date back to {effective_on}"
        )


def _change(
    session: Session,
    model: ModelVersion,
    role: Role,
    action: str,
    effective_on: date,
    reason: str,
    actor: str,
    *,
    verdict: GateVerdict | None = None,
    second_actor: str | None = None,
    becomes: int | None = None,
) -> ModelRole:
    """Append one change and tell the audit trail; of a rollback `becomes` is the version that serves then."""
    if not reason.strip() or not actor.strip():
        raise InputError("a change of roles needs an actor and a reason")
    before = standing_of(session, name=model.name, as_of=effective_on)
    row = queries.add_role(
        session,
        ModelRole(
            name=model.name,
            kind=model.kind,
            strategy=model.strategy,
            role=role,
            action=action,
            model_version_id=becomes if action == "rollback" else model.model_version_id,
            verdict_id=verdict.verdict_id if verdict else None,
            effective_on=effective_on,
            reason=reason,
            actor=actor,
            second_actor=second_actor,
        ),
    )
    record(
        session,
        actor=second_actor or actor,
        action=action,
        subject="model_role",
        subject_id=model.name,
        before={"champion": before.champion, "challenger": before.challenger, "held": before.held},
        after={
            "role": role,
            "version": model.version,
            "model_version_id": row.model_version_id,
            "effective_on": effective_on,
            "verdict": verdict.verdict if verdict else None,
            "verdict_id": row.verdict_id,
            "reason": reason,
            "asked_by": actor if second_actor else None,
        },
    )
    return row


def _verdict(session: Session, model: ModelVersion, as_of: date) -> GateVerdict:
    verdict = newest_verdict(session, model_version_id=model.model_version_id, as_of=as_of)
    if verdict is None:
        raise Refused(f"the gate has not judged {_title(model)} by {as_of}: nobody serves unjudged")
    return verdict


def _overrider(session: Session, email: str) -> str:
    """The address of a person who may override, as it is stored."""
    user = find_user(session, email=email)
    if user is None or user.role not in OVERRIDERS:
        raise Refused(
            f"{email!r} may not override the gate: it takes two people with the role {' or '.join(OVERRIDERS)}"
        )
    return user.email


def _serves(model: ModelVersion, on: date) -> bool:
    return model.valid_from_on <= on < model.valid_to_on


def _title(model: ModelVersion) -> str:
    return f"{model.name} version {model.version}"


def _lock(name: str) -> str:
    return f"acis:model-role:{name}"
