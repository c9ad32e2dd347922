"""The audit trail: who changed what, append-only (the database refuses anything else)."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from database.queries import audit as queries
from database.session import Session
from database.tables.audit import AuditRecord


def record(
    session: Session,
    *,
    actor: str,
    action: str,
    subject: str,
    subject_id: int | str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Note one change in the transaction that makes it, so neither exists without the other.

    `subject` names the table's noun (`mandate`), `before` and `after` its state; dates and Decimals become text.
    """
    queries.append(
        session,
        actor=actor,
        action=action,
        subject=subject,
        subject_id=str(subject_id),
        before=None if before is None else _plain(before),
        after=None if after is None else _plain(after),
    )


def read_trail(session: Session, *, subject: str, subject_id: int | str) -> list[AuditRecord]:
    """Everything that happened to one subject, oldest first."""
    return queries.history(session, subject=subject, subject_id=str(subject_id))


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, Decimal | date | datetime) else value for key, value in state.items()}
