"""What whoever works on a job may do with its row, while it is his: take it, tell, finish it, give it back."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

from core.jobs import KINDS, Job
from database.queries import jobs as queries
from database.session import Session
from jobs.service import submit_due
from jobs.timetable import followers_of

ERROR_CHARACTERS_MAX = 4000


@dataclass(frozen=True)
class Held:
    """A job in the hands of one attempt."""

    job_id: int
    origin_id: int
    attempt: int
    attempts_max: int
    actor: str
    is_private: bool
    kind: type[Job]
    payload: dict[str, Any]


def connections_of(job_id: int) -> str:
    """What a job's process calls itself to the database, so that it can be cut off there."""
    return f"acis job {job_id}"


def take(session: Session, *, job_id: int, worker: str) -> Held | None:
    """Begin the job; None where there is nothing to begin: it is done, another is at it, or its pause is not over.

    A name or payload that this version of the program does not know closes the job as failed: None as well.
    """
    job = queries.claim(session, job_id=job_id, worker=worker)
    if job is None:
        return None
    held = Held(
        job_id=job.job_id,
        origin_id=job.retry_of or job.job_id,
        attempt=job.attempt,
        attempts_max=job.attempts_max,
        actor=job.actor,
        is_private=job.is_private,
        kind=KINDS.get(job.name, Job),
        payload=job.payload,
    )
    if held.kind is Job:
        close(session, held, status="failed", error=f"no job is called {job.name!r} here: is the worker up to date?")
        return None
    body = {"status": "running", "attempt": job.attempt}
    queries.add_event(session, job_id=job_id, kind="status", body=body)
    return held


def renew(session: Session, held: Held) -> queries.Lease | None:
    """Say that the work goes on, and hear whether it should stop; None where the job was taken away."""
    return queries.renew(session, job_id=held.job_id, attempt=held.attempt)


def tell_progress(session: Session, held: Held, *, step: str, done: int, total: int) -> bool:
    """Show how far a step is; False where the job was taken away. Percent is of that step, and real."""
    percent = None if total <= 0 else min(Decimal(100), round(Decimal(100 * done) / total, 2))
    values = {"step": step[:200], "percent": percent}
    if not queries.set_columns(session, job_id=held.job_id, attempt=held.attempt, values=values):
        return False
    body = {"step": step[:200], "done": done, "total": total}
    queries.add_event(session, job_id=held.job_id, kind="progress", body=body)
    return True


def tell_line(session: Session, held: Held, line: dict[str, Any]) -> None:
    """Add a line of the job's log."""
    if queries.renew(session, job_id=held.job_id, attempt=held.attempt) is not None:
        queries.add_event(session, job_id=held.job_id, kind="log", body=plain(line))


def succeed(session: Session, held: Held, result: dict[str, Any] | None) -> bool:
    """Close the job with what it answers, and ask for the jobs that follow it on the timetable."""
    content = None if result is None else plain(result)
    if not queries.finish(
        session, job_id=held.job_id, attempt=held.attempt, status="succeeded", result=content, error=None
    ):
        return False
    queries.add_event(session, job_id=held.job_id, kind="status", body={"status": "succeeded"})
    row = queries.find_job(session, job_id=held.job_id)
    if row is not None and row.due_on is not None:
        for job in followers_of(held.kind.name, row.due_on):
            submit_due(session, job, due_on=row.due_on, actor="timetable")
    return True


def close(session: Session, held: Held, *, status: str, error: str) -> bool:
    """Close the job without a result: refused, failed or cancelled, with the reason in a sentence."""
    return _close(session, held.job_id, held.attempt, status, error)


def _close(session: Session, job_id: int, attempt: int, status: str, error: str) -> bool:
    error = error[:ERROR_CHARACTERS_MAX]
    if not queries.finish(session, job_id=job_id, attempt=attempt, status=status, result=None, error=error):
        return False
    queries.add_event(session, job_id=job_id, kind="status", body={"status": status, "error": error})
    return True


def give_back(
    session: Session,
    *,
    job_id: int,
    attempt: int,
    error: str,
    pause: timedelta = timedelta(0),
    counts: bool = True,
) -> bool:
    """Let the job be begun again after a pause; False where this attempt holds it no longer.

    One that gives it back for no fault of the job (`counts` is False) leaves the job its tries.
    """
    error = error[:ERROR_CHARACTERS_MAX]
    if not queries.queue_again(
        session, job_id=job_id, attempt=attempt, error=error, pause=pause, spared=0 if counts else 1
    ):
        return False
    body = {"status": "queued", "error": error, "pause_s": round(pause.total_seconds(), 1)}
    queries.add_event(session, job_id=job_id, kind="status", body=body)
    queries.notify(session, queries.QUEUE_CHANNEL, str(job_id))
    return True


def take_away(session: Session, job: queries.OpenJob) -> None:
    """From a worker that has fallen silent; what is left of it loses its connections, transactions and locks."""
    queries.cut_off(session, connections=connections_of(job.job_id))
    error = f"its worker {job.worker} has been silent for {job.heartbeat_s or 0.0:.0f} s"
    if job.cancel_asked:
        _close(session, job.job_id, job.attempt, "cancelled", f"cancelled on request; {error}")
    elif job.attempt >= job.attempts_max:
        _close(session, job.job_id, job.attempt, "failed", f"{error}, in the last of {job.attempts_max} tries")
    else:
        give_back(session, job_id=job.job_id, attempt=job.attempt, error=error)


def plain(value: Any) -> Any:
    """The value as JSON holds it: what is unknown or not finite is null, dates and decimals are text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")  # which PostgreSQL takes in no text
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)
