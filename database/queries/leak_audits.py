"""Runs of the leak probes: what was found, and for which state of the code."""

from sqlalchemy import select

from database.session import Session
from database.tables.leak_audits import LeakAudit


def add_leak_audit(session: Session, audit: LeakAudit) -> LeakAudit:
    """Store one run; runs are never replaced."""
    session.add(audit)
    session.flush()
    return audit


def newest_leak_audit(session: Session, *, code_hash: str) -> LeakAudit | None:
    """The last run over this state of the code."""
    return session.scalars(
        select(LeakAudit).where(LeakAudit.code_hash == code_hash).order_by(LeakAudit.leak_audit_id.desc()).limit(1)
    ).first()
