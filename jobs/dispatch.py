"""What a dispatcher reads and writes: its round, which message is on its way, what may be forgotten."""

from datetime import timedelta

from database.queries import jobs as queries
from database.queries.jobs import OpenJob
from database.session import Session
from jobs.schedule import raise_due

DISPATCHER = "dispatcher"
EVENTS_KEPT = timedelta(days=30)
_ROWS_AT_ONCE = 20_000


def begin_round(session: Session, *, worker: str) -> list[OpenJob] | None:
    """Raise what is due, and see every open job; None where another dispatcher is in its round now.

    The round lasts as long as this transaction. It leaves a sign of life either way.
    """
    queries.beat(session, name=DISPATCHER, worker=worker)
    if not queries.only_dispatcher(session):
        return None
    raise_due(session)
    return queries.open_jobs(session)


def note_sent(session: Session, *, job_id: int) -> None:
    """The message about a job is on its way."""
    queries.mark_sent(session, job_id=job_id)


def note_unsent(session: Session, *, job_id: int) -> None:
    """The message did not get away."""
    queries.mark_unsent(session, job_id=job_id)


def forget_old_events(session: Session) -> None:
    """Progress and lines of jobs that ended long ago are dropped; how they came out stays."""
    queries.delete_old_events(session, older_than=EVENTS_KEPT, limit=_ROWS_AT_ONCE)
