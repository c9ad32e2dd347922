"""Jobs: asked for, claimed by one process at a time, told of event by event, finished once.

Leases count in the database's own time, so the clocks of workers need not agree. Whoever works on a job names its
attempt with each write: one whose job was given to another meanwhile changes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert

from database.paging import Page, read_page
from database.session import Session
from database.tables.jobs import Heartbeat, JobEvent, QueuedJob, TimetableEntry

QUEUE_CHANNEL = "acis_queue"
EVENTS_CHANNEL = "acis_events"
OPEN = ("queued", "running")
SORTS: dict[str, Any] = {
    "created_at": QueuedJob.created_at,
    "name": QueuedJob.name,
    "finished_at": QueuedJob.finished_at,
}
_NOW = func.clock_timestamp()


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
    seq: int | None = session.scalar(
        update(QueuedJob)
        .where(QueuedJob.job_id == job_id)
        .values(event_count=QueuedJob.event_count + 1)
        .returning(QueuedJob.event_count)
    )
    assert seq is not None, f"job {job_id} is not there"
    session.execute(insert(JobEvent).values(job_id=job_id, seq=seq, at=_NOW, kind=kind, body=body).inline())
    notify(session, EVENTS_CHANNEL, f"jobs:{job_id}")
    return seq


def notify(session: Session, channel: str, payload: str) -> None:
    """Tell the listeners of a channel when this transaction commits."""
    session.execute(select(func.pg_notify(channel, payload)))


def find_job(session: Session, *, job_id: int) -> QueuedJob | None:
    """The job with this number."""
    return session.get(QueuedJob, job_id, populate_existing=True)


def lock_job(session: Session, *, job_id: int) -> QueuedJob | None:
    """The same, and nobody changes it until this transaction ends."""
    return session.get(QueuedJob, job_id, populate_existing=True, with_for_update=True)


def jobs_numbered(session: Session, *, job_ids: Collection[int]) -> list[QueuedJob]:
    """Those of these jobs that are there, oldest first."""
    wanted = select(QueuedJob).where(QueuedJob.job_id.in_(job_ids)).order_by(QueuedJob.job_id)
    return list(session.scalars(wanted.execution_options(populate_existing=True)))


def page_of_jobs(
    session: Session,
    *,
    status: Sequence[str] | None,
    name: str | None,
    requested_by: int | None,
    sort: str,
    limit: int,
    cursor: str | None,
) -> Page:
    """One page of jobs, filtered."""
    query = select(QueuedJob)
    if status:
        query = query.where(QueuedJob.status.in_(status))
    if name is not None:
        query = query.where(QueuedJob.name == name)
    if requested_by is not None:
        query = query.where(QueuedJob.requested_by == requested_by)
    return read_page(session, query, sorts=SORTS, key=QueuedJob.job_id, sort=sort, limit=limit, cursor=cursor)


def events_after(
    session: Session, *, job_id: int, seq: int, limit: int, kinds: Sequence[str] | None = None
) -> list[JobEvent]:
    """What a job told after its event `seq`, in order."""
    query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.seq > seq)
    if kinds is not None:
        query = query.where(JobEvent.kind.in_(kinds))
    return list(session.scalars(query.order_by(JobEvent.seq).limit(limit)))


def last_events(session: Session, *, job_id: int, kind: str, limit: int) -> list[JobEvent]:
    """The last events of a kind, in order."""
    newest = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.kind == kind)
    return list(session.scalars(newest.order_by(JobEvent.seq.desc()).limit(limit)))[::-1]


def jobs_changed_since(session: Session, *, at: datetime, limit: int) -> list[QueuedJob]:
    """Jobs that are open, or were asked for or finished since, the newest first."""
    query = select(QueuedJob).where(
        or_(QueuedJob.status.in_(OPEN), QueuedJob.finished_at >= at, QueuedJob.created_at >= at)
    )
    return list(session.scalars(query.order_by(QueuedJob.job_id.desc()).limit(limit)))


def open_retry(session: Session, *, origin_id: int) -> int | None:
    """The open job that tries this one again, if there is one."""
    return session.scalar(
        select(QueuedJob.job_id).where(QueuedJob.retry_of == origin_id, QueuedJob.status.in_(OPEN)).limit(1)
    )


# ---- the work


def claim(session: Session, *, job_id: int, worker: str) -> QueuedJob | None:
    """Take the job, or None: it is finished, somebody else is at it, or its pause is not over."""
    return session.scalar(
        update(QueuedJob)
        .where(
            QueuedJob.job_id == job_id,
            QueuedJob.status == "queued",
            or_(QueuedJob.not_before_at.is_(None), QueuedJob.not_before_at <= _NOW),
        )
        .values(
            status="running",
            attempt=QueuedJob.attempt + 1,
            worker=worker,
            percent=None,
            step=None,
            not_before_at=None,
            started_at=_NOW,
            heartbeat_at=_NOW,
        )
        .returning(QueuedJob)
    )


def _held(job_id: int, attempt: int) -> ColumnElement[bool]:
    return and_(QueuedJob.job_id == job_id, QueuedJob.status == "running", QueuedJob.attempt == attempt)


@dataclass(frozen=True)
class Lease:
    """What whoever holds a job learns when he says that he lives."""

    cancel_asked: bool


def renew(session: Session, *, job_id: int, attempt: int) -> Lease | None:
    """Say that the work goes on; None where the job is no longer this attempt's."""
    row = session.execute(
        update(QueuedJob)
        .where(_held(job_id, attempt))
        .values(heartbeat_at=_NOW)
        .returning(QueuedJob.cancel_asked_at)
        .execution_options(synchronize_session=False)
    ).first()
    return None if row is None else Lease(row.cancel_asked_at is not None)


def set_columns(session: Session, *, job_id: int, attempt: int, values: dict[str, Any]) -> bool:
    """Change a job that this attempt holds; False where it holds it no longer."""
    changed = session.scalar(
        update(QueuedJob)
        .where(_held(job_id, attempt))
        .values(**values)
        .returning(QueuedJob.job_id)
        .execution_options(synchronize_session=False)
    )
    return changed is not None


def finish(
    session: Session, *, job_id: int, attempt: int, status: str, result: dict[str, Any] | None, error: str | None
) -> bool:
    """Close a job that this attempt holds; False where it holds it no longer."""
    values: dict[str, Any] = {"status": status, "result": result, "error": error, "finished_at": _NOW, "worker": None}
    if status == "succeeded":
        values["percent"] = 100
    return set_columns(session, job_id=job_id, attempt=attempt, values=values)


def queue_again(
    session: Session, *, job_id: int, attempt: int, error: str | None, pause: timedelta, spared: int
) -> bool:
    """Give a job back to be tried again after a pause, with `spared` more tries than it had; False where this attempt
    holds it no longer."""
    values = {
        "status": "queued",
        "worker": None,
        "error": error,
        "sent_at": None,
        "heartbeat_at": None,
        "not_before_at": _NOW + pause,
        "attempts_max": QueuedJob.attempts_max + spared,
    }
    return set_columns(session, job_id=job_id, attempt=attempt, values=values)


def close_queued(session: Session, *, job_id: int, status: str, error: str | None) -> bool:
    """Close a job that nobody has begun; False where somebody has."""
    closed = session.scalar(
        update(QueuedJob)
        .where(QueuedJob.job_id == job_id, QueuedJob.status == "queued")
        .values(status=status, error=error, finished_at=_NOW)
        .returning(QueuedJob.job_id)
        .execution_options(synchronize_session=False)
    )
    return closed is not None


def ask_to_stop(session: Session, *, job_id: int) -> None:
    """Note that a running job is asked to stop."""
    session.execute(
        update(QueuedJob)
        .where(QueuedJob.job_id == job_id, QueuedJob.cancel_asked_at.is_(None))
        .values(cancel_asked_at=_NOW)
        .execution_options(synchronize_session=False)
    )


# ---- the dispatcher


@dataclass(frozen=True)
class OpenJob:
    """A job that is not finished: what the dispatcher decides by. Seconds are the database's; None: never."""

    job_id: int
    name: str
    status: str
    attempt: int
    attempts_max: int
    worker: str | None
    is_due: bool
    cancel_asked: bool
    waited_s: float
    sent_s: float | None
    heartbeat_s: float | None


def open_jobs(session: Session) -> list[OpenJob]:
    """Every open job in the order of its turn: the timetable's before the others', each by age."""
    since = QueuedJob.not_before_at

    def seconds(moment: Any) -> ColumnElement[Any]:
        return func.extract("epoch", _NOW - moment)

    rows = session.execute(
        select(
            QueuedJob.job_id,
            QueuedJob.name,
            QueuedJob.status,
            QueuedJob.attempt,
            QueuedJob.attempts_max,
            QueuedJob.worker,
            or_(since.is_(None), since <= _NOW).label("is_due"),
            QueuedJob.cancel_asked_at.is_not(None).label("cancel_asked"),
            seconds(func.coalesce(since, QueuedJob.created_at)).label("waited_s"),
            seconds(QueuedJob.sent_at).label("sent_s"),
            seconds(QueuedJob.heartbeat_at).label("heartbeat_s"),
        )
        .where(QueuedJob.status.in_(OPEN))
        .order_by(QueuedJob.due_on.is_(None), QueuedJob.job_id)
    )
    return [
        OpenJob(
            **{
                **row._mapping,
                "waited_s": float(row.waited_s),
                "sent_s": None if row.sent_s is None else float(row.sent_s),
                "heartbeat_s": None if row.heartbeat_s is None else float(row.heartbeat_s),
            }
        )
        for row in rows
    ]


def mark_sent(session: Session, *, job_id: int) -> None:
    """Note that the message about a job was sent just now."""
    session.execute(
        update(QueuedJob)
        .where(QueuedJob.job_id == job_id, QueuedJob.status == "queued")
        .values(sent_at=_NOW)
        .execution_options(synchronize_session=False)
    )


def mark_unsent(session: Session, *, job_id: int) -> None:
    """Note that the message did not get away."""
    session.execute(
        update(QueuedJob)
        .where(QueuedJob.job_id == job_id, QueuedJob.status == "queued")
        .values(sent_at=None)
        .execution_options(synchronize_session=False)
    )


def cut_off(session: Session, *, connections: str) -> int:
    """End the database connections of this name, with their transactions and locks; how many there were."""
    ended = session.scalar(
        text("""
            select count(*) filter (where pg_terminate_backend(pid, 2000)) from pg_stat_activity
            where application_name = :name and datname = current_database() and usename = current_user
              and pid <> pg_backend_pid()
        """),
        {"name": connections},
    )
    return ended or 0


def only_dispatcher(session: Session) -> bool:
    """Whether this transaction is the only dispatcher's round; the next one's begins when it ends."""
    return bool(session.scalar(text("select pg_try_advisory_xact_lock(hashtextextended('acis:dispatcher', 0))")))


def beat(session: Session, *, name: str, worker: str) -> None:
    """Leave a sign of life."""
    session.execute(
        insert(Heartbeat)
        .values(name=name, worker=worker, at=_NOW)
        .on_conflict_do_update(index_elements=["name"], set_={"worker": worker, "at": _NOW})
    )


def heartbeat_age_s(session: Session, *, name: str) -> float | None:
    """Seconds since the last sign of life; None where there never was one."""
    age = session.scalar(select(func.extract("epoch", _NOW - Heartbeat.at)).where(Heartbeat.name == name))
    return None if age is None else float(age)


# ---- the timetable


def known_since(session: Session, *, names: Collection[str], now: datetime) -> dict[str, datetime]:
    """Since when each entry is known; those that are new are known since now."""
    session.execute(
        insert(TimetableEntry)
        .values([{"name": name, "known_since_at": now} for name in names])
        .on_conflict_do_nothing()
    )
    rows = session.execute(
        select(TimetableEntry.name, TimetableEntry.known_since_at).where(TimetableEntry.name.in_(names))
    )
    return {row[0]: row[1] for row in rows}


def find_due(session: Session, *, name: str, due_on: date) -> QueuedJob | None:
    """The timetable's job of this name and day."""
    return session.scalar(select(QueuedJob).where(QueuedJob.name == name, QueuedJob.due_on == due_on))


def last_due(session: Session) -> dict[str, date]:
    """The newest day for which each job of the timetable was asked for."""
    rows = session.execute(
        select(QueuedJob.name, func.max(QueuedJob.due_on)).where(QueuedJob.due_on.is_not(None)).group_by(QueuedJob.name)
    )
    return {row[0]: row[1] for row in rows if row[1] is not None}


def newest_by_name(session: Session, *, names: Collection[str]) -> dict[str, QueuedJob]:
    """The newest job of each name, however it came to be asked for."""
    rows = session.scalars(
        select(QueuedJob)
        .where(QueuedJob.name.in_(names))
        .ext(distinct_on(QueuedJob.name))
        .order_by(QueuedJob.name, QueuedJob.job_id.desc())
    )
    return {job.name: job for job in rows}


def delete_old_events(session: Session, *, older_than: timedelta, limit: int) -> int:
    """Forget progress and log lines of jobs that finished long ago; how they came out stays."""
    old = (
        select(JobEvent.job_id, JobEvent.seq)
        .join(QueuedJob, QueuedJob.job_id == JobEvent.job_id)
        .where(QueuedJob.finished_at < _NOW - older_than, JobEvent.kind != "status")
        .limit(limit)
        .subquery()
    )
    gone = session.execute(
        delete(JobEvent)
        .where(JobEvent.job_id == old.c.job_id, JobEvent.seq == old.c.seq)
        .returning(JobEvent.job_id)
        .execution_options(synchronize_session=False)
    )
    return len(gone.all())
