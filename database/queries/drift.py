"""Drift readings, stored once a session, subject and measure; what was decided about them; read as of a date."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on, insert

from database.session import Session
from database.tables.allocations import Allocation
from database.tables.drift import DriftReading
from database.tables.runs import Run

_AT_ONCE = 2000  # eleven parameters a row; PostgreSQL takes 65,535


def put_readings(session: Session, readings: Sequence[DriftReading]) -> int:
    """Store readings that are not there yet; what was said of a session stays. Returns how many were new."""
    names = [c.name for c in DriftReading.__table__.columns if c.name not in {"drift_reading_id", "created_at"}]
    stored = 0
    for start in range(0, len(readings), _AT_ONCE):
        values: list[dict[str, Any]] = [
            {name: getattr(reading, name) for name in names} for reading in readings[start : start + _AT_ONCE]
        ]
        rows = session.execute(
            insert(DriftReading)
            .values(values)
            .on_conflict_do_nothing(index_elements=["session_on", "subject", "measure", "model_version_id"])
            .returning(DriftReading.drift_reading_id)
        )
        stored += len(rows.all())
    return stored


def newest_readings(
    session: Session, *, subject: str, as_of: date, model_version_id: int | None = None, sessions: int = 1
) -> list[DriftReading]:
    """Every measure of the subject on its `sessions` newest sessions up to `as_of`, of one version where named.

    Newest session first, then by measure.
    """
    query = select(DriftReading).where(DriftReading.subject == subject, DriftReading.session_on <= as_of)
    if model_version_id is not None:
        query = query.where(DriftReading.model_version_id == model_version_id)
    newest = query.with_only_columns(DriftReading.session_on).distinct().order_by(DriftReading.session_on.desc())
    found = query.where(DriftReading.session_on.in_(newest.limit(sessions))).order_by(
        DriftReading.session_on.desc(), DriftReading.measure, DriftReading.model_version_id.desc()
    )
    return list(session.scalars(found))


def newest_readings_by_version(
    session: Session, *, model_version_ids: Collection[int], as_of: date, sessions: int
) -> dict[int, list[DriftReading]]:
    """By version, what `newest_readings` finds of each: every measure of its newest sessions, newest first."""
    place = func.dense_rank().over(partition_by=DriftReading.model_version_id, order_by=DriftReading.session_on.desc())
    ranked = (
        select(DriftReading.drift_reading_id, place.label("place"))
        .where(DriftReading.model_version_id.in_(list(model_version_ids)), DriftReading.session_on <= as_of)
        .subquery()
    )
    rows = session.scalars(
        select(DriftReading)
        .join(ranked, ranked.c.drift_reading_id == DriftReading.drift_reading_id)
        .where(ranked.c.place <= sessions)
        .order_by(DriftReading.session_on.desc(), DriftReading.measure)
    )
    found: dict[int, list[DriftReading]] = {}
    for row in rows:
        found.setdefault(row.model_version_id or 0, []).append(row)
    return found


def readings_between(
    session: Session, *, subject: str, first_on: date, last_on: date, model_version_id: int | None = None
) -> list[DriftReading]:
    """Every reading of a subject between two sessions, by session and measure; of one version where named."""
    query = select(DriftReading).where(
        DriftReading.subject == subject, DriftReading.session_on.between(first_on, last_on)
    )
    if model_version_id is not None:
        query = query.where(DriftReading.model_version_id == model_version_id)
    return list(session.scalars(query.order_by(DriftReading.session_on, DriftReading.measure)))


def readings_on(session: Session, *, session_on: date, subject_kind: str | None = None) -> list[DriftReading]:
    """Everything read on one session, by subject and measure."""
    query = select(DriftReading).where(DriftReading.session_on == session_on)
    if subject_kind is not None:
        query = query.where(DriftReading.subject_kind == subject_kind)
    return list(session.scalars(query.order_by(DriftReading.subject, DriftReading.measure)))


def newest_session(session: Session, *, as_of: date) -> date | None:
    """The newest session up to `as_of` that was read."""
    return session.scalar(select(func.max(DriftReading.session_on)).where(DriftReading.session_on <= as_of))


def allocation_days(
    session: Session, *, strategy: str, allocator: str, first_on: date, last_on: date
) -> list[Allocation]:
    """What an allocator decided for a strategy, served or in shadow, one row a session, by session."""
    query = (
        select(Allocation)
        .ext(distinct_on(Allocation.session_on))
        .where(
            Allocation.strategy == strategy,
            Allocation.allocator == allocator,
            Allocation.session_on.between(first_on, last_on),
        )
        .order_by(Allocation.session_on, Allocation.allocation_id)
    )
    return list(session.scalars(query))


def runs_between(session: Session, *, job: str, first_on: date, last_on: date) -> list[Run]:
    """The finished runs of a job of sessions between the two, by session."""
    query = select(Run).where(Run.job == job, Run.as_of.between(first_on, last_on), Run.status == "succeeded")
    return list(session.scalars(query.order_by(Run.as_of)))
