"""Alerts: what somebody should look at, and what was settled."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from database.paging import Page, read_page
from database.session import Session
from database.tables.alerts import Alert


def put_alert(session: Session, *, severity: str, subject: str, text: str, details: Mapping[str, Any]) -> None:
    """Open an alert, or count the return of one that is open."""
    session.execute(
        insert(Alert)
        .values(severity=severity, subject=subject, text=text, details=dict(details))
        .on_conflict_do_update(
            index_elements=["subject", "text"],
            index_where=Alert.settled_at.is_(None),
            set_={"times": Alert.times + 1, "last_at": func.now(), "details": dict(details)},
        )
    )


def open_alerts(session: Session, *, subject: str | None = None) -> list[Alert]:
    """What is not settled yet, newest first."""
    query = select(Alert).where(Alert.settled_at.is_(None)).order_by(Alert.last_at.desc(), Alert.alert_id.desc())
    if subject is not None:
        query = query.where(Alert.subject == subject)
    return list(session.scalars(query))


def page_alerts(
    session: Session, *, subject: str | None, severity: str | None, is_open: bool | None, limit: int, cursor: str | None
) -> Page:
    """A page of alerts, those that came back last first."""
    query = select(Alert)
    if subject is not None:
        query = query.where(Alert.subject == subject)
    if severity is not None:
        query = query.where(Alert.severity == severity)
    if is_open is not None:
        query = query.where(Alert.settled_at.is_(None) if is_open else Alert.settled_at.is_not(None))
    return read_page(
        session,
        query,
        sorts={"last_at": Alert.last_at.expression},
        key=Alert.alert_id.expression,
        sort="-last_at",
        limit=limit,
        cursor=cursor,
    )


def settle_alerts(session: Session, *, subject: str, text: str | None = None) -> int:
    """Settle what is open about a subject, all or one `text`; returns how many."""
    query = update(Alert).where(Alert.subject == subject, Alert.settled_at.is_(None))
    if text is not None:
        query = query.where(Alert.text == text)
    settled = session.execute(query.values(settled_at=func.now()))
    return int(settled.rowcount)  # type: ignore[attr-defined]  # an update answers with a cursor's result
