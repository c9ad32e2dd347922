"""The verbs of jobs for doors: ask for work, stop it, try it again. The row is the truth; no queue is spoken to."""

from datetime import date

from core.errors import NotFound, Refused
from core.jobs import KINDS, Job
from core.log import current_request_id
from database.queries import jobs as queries
from database.session import Session
from database.tables.jobs import QueuedJob


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


def stop(session: Session, *, job_id: int, by: str) -> QueuedJob:
    """Ask for a job to stop; the row as it then is.

    One that nobody has begun is cancelled at once; a running one stops where it next tells its progress. NotFound;
    Refused for a job that is over, or that must not stop half-way.
    """
    job = queries.lock_job(session, job_id=job_id)
    if job is None:
        raise NotFound("job", job_id)
    if job.status not in queries.OPEN:
        raise Refused(f"job {job_id} is {job.status} already: there is nothing to stop")
    if job.status == "queued":
        queries.close_queued(session, job_id=job_id, status="cancelled", error=f"cancelled by {by} before it began")
        queries.add_event(session, job_id=job_id, kind="status", body={"status": "cancelled", "error": f"by {by}"})
    else:
        kind = KINDS.get(job.name)
        if kind is not None and not kind.is_cancellable:
            raise Refused(f"job {job_id} ({job.name}) has begun and is not stopped half-way: wait for its end")
        if job.cancel_asked_at is None:
            queries.ask_to_stop(session, job_id=job_id)
            line = {"level": "info", "event": f"{by} asked for the job to stop"}
            queries.add_event(session, job_id=job_id, kind="log", body=line)
    return _read(session, job_id)


def try_again(session: Session, *, job_id: int, actor: str, requested_by: int | None) -> QueuedJob:
    """Ask for the same work once more, under a new number that remembers the first. NotFound, Refused while it is open
    or where it has succeeded."""
    job = queries.lock_job(session, job_id=job_id)
    if job is None:
        raise NotFound("job", job_id)
    if job.status in queries.OPEN:
        raise Refused(f"job {job_id} is {job.status}: wait for its end, or cancel it first")
    if job.status == "succeeded":
        raise Refused(f"job {job_id} has succeeded: ask for new work instead")
    origin = job.retry_of or job.job_id
    kind = KINDS.get(job.name)
    if kind is None:
        raise Refused(f"job {job_id} is a {job.name!r}, which this version no longer knows")
    again = queries.open_retry(session, origin_id=origin)
    if again is not None:
        raise Refused(f"job {job_id} is being tried again already, as job {again}")
    new_id = _add(
        session,
        kind.model_validate(job.payload),
        actor=actor,
        requested_by=requested_by,
        client_id=job.client_id,
        account_id=job.account_id,
        is_private=job.is_private,
        retry_of=origin,
    )
    assert new_id is not None
    return _read(session, new_id)


def _read(session: Session, job_id: int) -> QueuedJob:
    job = queries.find_job(session, job_id=job_id)
    assert job is not None
    return job
