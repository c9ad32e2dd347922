"""Roles: who is champion or challenger of a model name on a date."""

from datetime import date

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on

from database.session import Session
from database.tables.models import ModelVersion
from database.tables.roles import ModelRole


def add_role(session: Session, role: ModelRole) -> ModelRole:
    """Append one change."""
    session.add(role)
    session.flush()
    return role


def holders(session: Session, *, kind: str, role: str, as_of: date) -> dict[str, ModelVersion]:
    """By strategy, the version that has the role on `as_of` and whose fold may serve on that date.

    The newest change that was effective by then decides; a hold, a retirement or a rollback to nobody leaves nobody.
    """
    newest = (
        select(ModelRole.model_role_id)
        .ext(distinct_on(ModelRole.name))
        .where(
            ModelRole.kind == kind,
            ModelRole.role == role,
            ModelRole.effective_on <= as_of,
            ModelRole.action != "request_override",
        )
        .order_by(ModelRole.name, ModelRole.effective_on.desc(), ModelRole.model_role_id.desc())
    )
    rows = session.execute(
        select(ModelRole.strategy, ModelVersion)
        .join(ModelVersion, ModelVersion.model_version_id == ModelRole.model_version_id)
        .where(
            ModelRole.model_role_id.in_(newest),
            ModelRole.action.not_in(("hold", "retire")),
            ModelVersion.valid_from_on <= as_of,
            ModelVersion.valid_to_on > as_of,
        )
    )
    return {row.strategy: row.ModelVersion for row in rows}


def role_history(session: Session, *, name: str) -> list[ModelRole]:
    """Every change of the name's roles, newest first."""
    return list(
        session.scalars(select(ModelRole).where(ModelRole.name == name).order_by(ModelRole.model_role_id.desc()))
    )


def changes_of_kind(session: Session, *, kind: str, as_of: date) -> list[ModelRole]:
    """Every change of a role, of all names of the kind, that was effective by `as_of`, in the order of writing."""
    return list(
        session.scalars(
            select(ModelRole)
            .where(ModelRole.kind == kind, ModelRole.effective_on <= as_of)
            .order_by(ModelRole.model_role_id)
        )
    )


def versions_in_service(session: Session, *, kind: str, as_of: date) -> list[ModelVersion]:
    """Every version whose fold may serve on `as_of`, by name and version."""
    return list(
        session.scalars(
            select(ModelVersion)
            .where(ModelVersion.kind == kind, ModelVersion.valid_from_on <= as_of, ModelVersion.valid_to_on > as_of)
            .order_by(ModelVersion.name, ModelVersion.version)
        )
    )
