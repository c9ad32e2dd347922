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
    request_id: str | None,
    address: str | None,
) -> None:
    """One more record; the table refuses updates and deletes.

    Nothing is returned of it: most who leave traces may not read any, not even their own.
    """
    values = {
        "at": now(),
        "actor": actor,
        "action": action,
        "subject": subject,
        "subject_id": subject_id,
        "before": before,
        "after": after,
        "request_id": request_id,
        "address": address,
    }
    # What is left out is null; a None that is given would be stored as JSON's own null.
    session.execute(insert(AuditRecord).inline(), {key: value for key, value in values.items() if value is not None})


def history(session: Session, *, subject: str, subject_id: str) -> list[AuditRecord]:
    """What happened to one subject, oldest first."""
    return list(
        session.scalars(
            select(AuditRecord)
            .where(AuditRecord.subject == subject, AuditRecord.subject_id == subject_id)
            .order_by(AuditRecord.audit_id)
        )
    )
