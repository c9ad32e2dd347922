"""Raise, list and settle alerts about models."""

from collections.abc import Mapping
from typing import Any, Literal

from core.log import get_logger
from database.queries import alerts as queries
from database.session import Session
from database.tables.alerts import Alert

Severity = Literal["notice", "warning", "critical"]
_log = get_logger("registry")


def raise_alert(
    session: Session, *, severity: Severity, subject: str, text: str, details: Mapping[str, Any] | None = None
) -> None:
    """Put `text` about `subject` (a model's or a feature's name) before people; the same again only counts up."""
    _log.warning("alert", severity=severity, subject=subject, text=text)
    queries.put_alert(session, severity=severity, subject=subject, text=text, details=details or {})


def open_alerts(session: Session, *, subject: str | None = None) -> list[Alert]:
    """What waits for somebody, newest first."""
    return queries.open_alerts(session, subject=subject)


def settle_alerts(session: Session, *, subject: str, text: str | None = None) -> int:
    """Somebody, or the job that found all well again, settles what is open about the subject; returns how many.

    Only the alert with this `text` where one is given.
    """
    return queries.settle_alerts(session, subject=subject, text=text)
