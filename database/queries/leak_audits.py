"""Runs of the leak probes: what was found, and for which state of the code; and rows that stand before their time."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import select, text

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


@dataclass(frozen=True)
class Untimely:
    """Of `rows` that were looked at, how many stand before their time, with the first of them in words."""

    rows: int
    early: int
    first: str | None


def early_fills(session: Session, *, as_of: date) -> Untimely:
    """Fills up to `as_of` that are not of a later session than the night that decided them."""
    return _untimely(
        session,
        "select fill_id::text as what, f.session_on <= r.session_on as is_early from fills as f"
        " join orders as o using (order_id) join recommendations as r using (recommendation_id)"
        " where f.session_on <= :as_of",
        as_of,
    )


def misplaced_scores(session: Session, *, as_of: date) -> Untimely:
    """Out-of-fold scores up to `as_of` of sessions that their model does not serve, or whose labels it had seen."""
    return _untimely(
        session,
        "select m.name || ' on ' || s.session_on as what,"
        " s.session_on <= m.last_label_on or s.session_on < m.valid_from_on or s.session_on >= m.valid_to_on"
        " as is_early"
        " from (select distinct model_version_id, session_on from out_of_fold_scores) as s"
        " join model_versions as m using (model_version_id) where s.session_on <= :as_of",
        as_of,
    )


def misplaced_models(session: Session, *, as_of: date) -> Untimely:
    """Nights up to `as_of` whose scores or weights are by a model that was not to serve that session."""
    return _untimely(
        session,
        "select m.name || ' on ' || n.session_on as what,"
        " n.session_on < m.valid_from_on or n.session_on >= m.valid_to_on as is_early"
        " from (select session_on, model_version_id from score_batches union all"
        " select session_on, model_version_id from allocations) as n"
        " join model_versions as m using (model_version_id) where n.session_on <= :as_of",
        as_of,
    )


def _untimely(session: Session, rows: str, as_of: date) -> Untimely:
    # The rows are one of the queries above: no word of it comes from outside.
    counts = f"select count(*), count(*) filter (where is_early), min(what) filter (where is_early) from ({rows}) as r"  # noqa: S608
    return Untimely(*session.execute(text(counts), {"as_of": as_of}).one())
