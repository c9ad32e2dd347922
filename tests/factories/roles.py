"""Builders of verdicts and roles, for tests in which a model is to serve."""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import count
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from database.tables.models import ModelVersion
from database.tables.roles import ModelRole
from database.tables.verdicts import GateVerdict

_numbers = count(1)


def create_verdict(
    session: Session,
    model: ModelVersion,
    *,
    verdict: str = "pass",
    as_of: date | None = None,
    reason: str = "made up",
    checks: Sequence[Mapping[str, Any]] = (),
) -> GateVerdict:
    """The gate's word on a model, as of its first day of service unless given."""
    row = GateVerdict(
        model_version_id=model.model_version_id,
        as_of=as_of or model.valid_from_on,
        verdict=verdict,
        reason=reason,
        checks=[dict(check) for check in checks],
        evidence={},
        evidence_hash=f"{next(_numbers):064x}",
        trials=1,
        code_commit="unknown",
    )
    session.add(row)
    session.flush()
    return row


def create_role(
    session: Session,
    model: ModelVersion,
    *,
    role: str = "champion",
    action: str | None = None,
    effective_on: date | None = None,
    verdict: GateVerdict | None = None,
    nobody: bool = False,
) -> ModelRole:
    """One change of a role of the model's name; by default the gate's promotion, or for a challenger its registration.

    `nobody`: the change names no version, so that nobody has the role.
    """
    action = action or ("promote" if role == "champion" else "register")
    judged = verdict or create_verdict(session, model)
    row = ModelRole(
        name=model.name,
        kind=model.kind,
        strategy=model.strategy,
        role=role,
        action=action,
        model_version_id=None if nobody else model.model_version_id,
        verdict_id=judged.verdict_id,
        effective_on=effective_on or model.valid_from_on,
        reason="made for a test",
        actor="gate",
        second_actor="another" if action == "override" else None,
    )
    session.add(row)
    session.flush()
    return row


def crown(session: Session, model: ModelVersion, *, effective_on: date | None = None) -> ModelVersion:
    """Make the model champion of its strategy; returns it."""
    create_role(session, model, effective_on=effective_on)
    return model


def crown_all(session: Session, *, kind: str = "screener") -> None:
    """Make every fold's newest version champion from its first day of service on."""
    rows = session.scalars(
        select(ModelVersion)
        .where(ModelVersion.kind == kind)
        .order_by(ModelVersion.name, ModelVersion.valid_from_on, ModelVersion.version)
    )
    for model in {(row.name, row.valid_from_on): row for row in rows}.values():
        crown(session, model)
