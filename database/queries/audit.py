"""The audit trail: appended to, read by subject."""

from typing import Any

from sqlalchemy import insert, select

from core.clock import now
from database.session import Session
from database.tables.audit import AuditRecord


def append(
    session: Session,
    *,
    actor: str,
    action: str,
    subject: str,
    subject_id: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    """One more record; the table refuses updates and deletes."""
    session.execute(
        insert(AuditRecord).values(
            at=now(), actor=actor, action=action, subject=subject, subject_id=subject_id, before=before, after=after
        )
    )


def history(session: Session, *, subject: str, subject_id: str) -> list[AuditRecord]:
    """What happened to one subject, oldest first."""
    return list(
        session.scalars(
            select(AuditRecord)
            .where(AuditRecord.subject == subject, AuditRecord.subject_id == subject_id)
            .order_by(AuditRecord.audit_id)
        )
    )
