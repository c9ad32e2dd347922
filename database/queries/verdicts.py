"""Verdicts: what the gate said of a version, newest first."""

from collections.abc import Collection
from datetime import date

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on

from database.session import Session
from database.tables.verdicts import GateVerdict


def add_verdict(session: Session, verdict: GateVerdict) -> GateVerdict:
    """Append one judgement."""
    session.add(verdict)
    session.flush()
    return verdict


def newest_verdict(session: Session, *, model_version_id: int, as_of: date) -> GateVerdict | None:
    """The judgement of the version that counts on `as_of`: of the latest date by then, and of that the last written."""
    return newest_verdicts(session, model_version_ids=[model_version_id], as_of=as_of).get(model_version_id)


def newest_verdicts(session: Session, *, model_version_ids: Collection[int], as_of: date) -> dict[int, GateVerdict]:
    """By version, the judgement that counts on `as_of`; a version that was not judged by then is absent."""
    rows = session.scalars(
        select(GateVerdict)
        .ext(distinct_on(GateVerdict.model_version_id))
        .where(GateVerdict.model_version_id.in_(list(model_version_ids)), GateVerdict.as_of <= as_of)
        .order_by(GateVerdict.model_version_id, GateVerdict.as_of.desc(), GateVerdict.verdict_id.desc())
    )
    return {row.model_version_id: row for row in rows}
