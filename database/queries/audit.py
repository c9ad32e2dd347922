"""The audit trail: appended to, read by subject, sealed row by row."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, Text, cast, func, insert, select

from core.clock import now
from database.paging import Page, read_page
from database.session import Session
from database.tables.audit import AuditRecord, AuditSeal

# States as the database writes them: what is hashed is text, whatever a reader would make of it.
_SEALED_COLUMNS = (
    AuditRecord.audit_id,
    AuditRecord.at,
    AuditRecord.actor,
    AuditRecord.action,
    AuditRecord.subject,
    AuditRecord.subject_id,
    cast(AuditRecord.before, Text).label("before"),
    cast(AuditRecord.after, Text).label("after"),
    AuditRecord.request_id,
    AuditRecord.address,
)


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


def audit_page(
    session: Session,
    *,
    actor: str | None,
    action: str | None,
    subject: str | None,
    subject_id: str | None,
    from_at: datetime | None,
    to_at: datetime | None,
    sort: str,
    limit: int,
    cursor: str | None,
) -> Page:
    """Records that fit all that is given, each with its seal's number."""
    query = select(AuditRecord, AuditSeal.seal_id).outerjoin(AuditSeal, AuditSeal.audit_id == AuditRecord.audit_id)
    exact = {
        AuditRecord.actor: actor,
        AuditRecord.action: action,
        AuditRecord.subject: subject,
        AuditRecord.subject_id: subject_id,
    }
    query = query.where(*(column == value for column, value in exact.items() if value is not None))
    if from_at is not None:
        query = query.where(AuditRecord.at >= from_at)
    if to_at is not None:
        query = query.where(AuditRecord.at < to_at)
    return read_page(
        session,
        query,
        sorts={"at": AuditRecord.at},
        key=AuditRecord.audit_id,
        sort=sort,
        limit=limit,
        cursor=cursor,
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


def unsealed(session: Session, *, beyond: int, limit: int) -> Sequence[Row[Any]]:
    """Rows after the number `beyond` that no seal holds, in order."""
    return session.execute(_unsealed(*_SEALED_COLUMNS).where(AuditRecord.audit_id > beyond).limit(limit)).all()


def unsealed_before(session: Session, moment: datetime) -> int | None:
    """The first row that no seal holds and that tells of a time before `moment`."""
    found: int | None = session.scalar(_unsealed(AuditRecord.audit_id).where(AuditRecord.at < moment).limit(1))
    return found


def _unsealed(*columns: Any) -> Select[Any]:
    held = select(AuditSeal.seal_id).where(AuditSeal.audit_id == AuditRecord.audit_id).exists()
    return select(*columns).where(~held).order_by(AuditRecord.audit_id)


def newest_seal(session: Session) -> AuditSeal | None:
    """The end of the chain."""
    return session.scalar(select(AuditSeal).order_by(AuditSeal.seal_id.desc()).limit(1))


def highest_sealed(session: Session) -> int:
    """The highest number of a row that is sealed, 0 before the first."""
    return session.scalar(select(func.max(AuditSeal.audit_id))) or 0


def add_seals(session: Session, seals: list[dict[str, Any]]) -> None:
    """More links of the chain."""
    if seals:
        session.execute(insert(AuditSeal).inline(), seals)


def links(session: Session, *, beyond: int, limit: int) -> Sequence[Row[Any]]:
    """Seals after the number `beyond`, in order, each with the row that it holds (nulls where that is gone)."""
    columns: tuple[Any, ...] = (
        AuditSeal.seal_id,
        AuditSeal.audit_id.label("held_id"),
        AuditSeal.previous_hash,
        AuditSeal.hash,
        AuditSeal.sealed_at,
        *_SEALED_COLUMNS,
    )
    query = (
        select(*columns)
        .outerjoin(AuditRecord, AuditRecord.audit_id == AuditSeal.audit_id)
        .where(AuditSeal.seal_id > beyond)
        .order_by(AuditSeal.seal_id)
        .limit(limit)
    )
    return session.execute(query).all()


def count_sealed(session: Session) -> tuple[int, int]:
    """How many rows are sealed, and how many wait."""
    rows = session.scalar(select(func.count()).select_from(AuditRecord)) or 0
    seals = session.scalar(select(func.count()).select_from(AuditSeal)) or 0
    return seals, max(0, rows - seals)
