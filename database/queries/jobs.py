"""Jobs: asked for, claimed by one process at a time, told of event by event, finished once.

Leases count in the database's own time, so the clocks of workers need not agree.
"""

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from database.session import Session
from database.tables.jobs import JobEvent, QueuedJob

QUEUE_CHANNEL = "acis_queue"
EVENTS_CHANNEL = "acis_events"


def add_job(session: Session, values: dict[str, Any]) -> int | None:
    """Store a job; None where the timetable's job of that day is there already."""
    return session.scalar(
        insert(QueuedJob)
        .values(**values)
        .on_conflict_do_nothing(index_elements=["name", "due_on"])
        .returning(QueuedJob.job_id)
    )


def add_event(session: Session, *, job_id: int, kind: str, body: dict[str, Any]) -> int:
    """Note what a job told, under its next number, and say so to whoever listens when this transaction commits.

    The number is given under the row's lock, so the events of one job commit in the order of their numbers.
    """
    seq = session.scalar(
        update(QueuedJob)
        .where(QueuedJob.job_id == job_id)
        .values(event_count=QueuedJob.event_count + 1)
        .returning(QueuedJob.event_count)
    )
    assert seq is not None, f"job {job_id} is not there"
    session.execute(
        insert(JobEvent).values(job_id=job_id, seq=seq, at=func.clock_timestamp(), kind=kind, body=body).inline()
    )
    notify(session, EVENTS_CHANNEL, f"jobs:{job_id}")
    return seq


def notify(session: Session, channel: str, payload: str) -> None:
    """Tell the listeners of a channel when this transaction commits."""
    session.execute(select(func.pg_notify(channel, payload)))
