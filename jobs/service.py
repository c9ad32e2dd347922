"""The verbs of jobs for doors: ask for work, stop it, try it again. The row is the truth; no queue is spoken to."""

from datetime import date

from core.jobs import Job
from core.log import current_request_id
from database.queries import jobs as queries
from database.session import Session


def submit(
    session: Session,
    job: Job,
    *,
    actor: str,
    requested_by: int | None,
    client_id: int | None = None,
    account_id: int | None = None,
    is_private: bool = False,
    request_id: str | None = None,
) -> int:
    """Ask for a job; its number. It begins when this transaction has committed.

    `actor` is the e-mail (or the process) that asks, `requested_by` its user. A job that tells of a client carries
    the client or account, one that tells of any client is private: others do not see it. Works on the firm's
    connection and within a desk alike.
    """
    job_id = _add(
        session,
        job,
        actor=actor,
        requested_by=requested_by,
        client_id=client_id,
        account_id=account_id,
        is_private=is_private or client_id is not None or account_id is not None,
        request_id=request_id,
    )
    assert job_id is not None, "only the timetable's jobs are unique by day"
    return job_id


def submit_due(session: Session, job: Job, *, due_on: date, actor: str, note: str | None = None) -> int | None:
    """Ask for the timetable's job of a day; None where it was asked for before."""
    job_id = _add(session, job, actor=actor, due_on=due_on)
    if job_id is not None and note is not None:
        queries.add_event(session, job_id=job_id, kind="log", body={"level": "warning", "event": note})
    return job_id


def _add(session: Session, job: Job, **columns: object) -> int | None:
    payload = job.model_dump(mode="json")
    columns.setdefault("request_id", None)
    columns["request_id"] = columns["request_id"] or current_request_id()
    job_id = queries.add_job(
        session, {"name": job.name, "payload": payload, "attempts_max": job.attempts_max, **columns}
    )
    if job_id is not None:
        queries.add_event(session, job_id=job_id, kind="status", body={"status": "queued"})
        queries.notify(session, queries.QUEUE_CHANNEL, str(job_id))
    return job_id
