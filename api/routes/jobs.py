"""Work that takes longer than an answer may: what runs, how far it is, stop it, try it again."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Header, Path, Query, Request, Response

from api.deps import Cursor, Limit, desk, needs
from api.once import Once, do_once
from api.schemas.jobs import JobDetailOut, JobOut, LineOut, Status
from api.schemas.page import Page
from api.streams import BEGIN, PING, PING_S, EventStream, Hub, event
from api.word import Word
from auth.actor import Actor
from auth.audit import look, record
from core.errors import NotAllowed, NotFound, NotSignedIn, Unreachable
from core.jobs import KINDS
from database.queries import jobs as queries
from database.session import Session
from database.tables.jobs import JobEvent, QueuedJob
from jobs import service

router = Word("jobs", tags=["jobs"])
JobId = Annotated[int, Path(ge=1, le=2**63 - 1)]
LINES = 200
_EVENTS_AT_ONCE = 500
_NUMBER = re.compile(r"[0-9]{1,9}")


@router.get("")
def list_jobs(
    status: Annotated[list[Status] | None, Query(description="Only jobs in one of these states.")] = None,
    name: Annotated[str | None, Query(max_length=32, description="Only jobs of this kind.")] = None,
    mine: Annotated[bool, Query(description="Only jobs that the caller asked for.")] = False,
    sort: str = "-created_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("jobs.read"),
) -> Page[JobOut]:
    """Jobs by created_at, name or finished_at (`-` before it: the other way)."""
    with desk(actor) as session:
        rows = queries.page_of_jobs(
            session,
            status=status,
            name=name,
            requested_by=actor.user_id if mine else None,
            sort=sort,
            limit=limit,
            cursor=cursor,
        )
        return Page[JobOut].of(rows, lambda row: JobOut.of(row[0]))


@router.get("/{job_id}")
def show_job(job_id: JobId, actor: Actor = needs("jobs.read")) -> JobDetailOut:
    """One job, with what was asked, what it answered and the last lines of its log."""
    with desk(actor) as session:
        job = _find(session, job_id)
        for subject, subject_id in (("client", job.client_id), ("account", job.account_id)):
            if subject_id is not None:
                look(session, actor=actor.email, subject=subject, subject_id=subject_id)
        return _detail(session, job, actor)


@router.post("/{job_id}/cancel")
def cancel_job(job_id: JobId, actor: Actor = needs("jobs.write")) -> JobOut:
    """Stop a job: one that waits at once, one that runs at its next step. For who asked for it, and admins."""
    with desk(actor) as session:
        _require_own(_find(session, job_id), actor)
        job = service.stop(session, job_id=job_id, by=actor.email)
        record(session, actor=actor.email, action="cancel", subject="job", subject_id=job_id)
        return JobOut.of(job)


@router.post("/{job_id}/retry", status_code=201, response_model=JobOut)
def retry_job(job_id: JobId, once: Once, actor: Actor = needs("jobs.write")) -> Response:
    """Ask for the same work again, under a new number. For who asked for it, and admins."""

    def work(session: Session) -> JobOut:
        _require_own(_find(session, job_id), actor)
        job = service.try_again(session, job_id=job_id, actor=actor.email, requested_by=actor.user_id)
        after = {"retry": job.job_id}
        record(session, actor=actor.email, action="retry", subject="job", subject_id=job_id, after=after)
        return JobOut.of(job)

    return do_once(once, actor, work, status=201, headers=lambda job: {"Location": f"/api/v1/jobs/{job.job_id}"})


@router.get(
    "/{job_id}/events",
    response_class=EventStream,
    responses={204: {"description": "The job is over and every event was read: do not come back."}},
)
async def follow_job(
    job_id: JobId,
    request: Request,
    last_event_id: Annotated[
        str | None, Header(max_length=20, description="The number of the last event read.")
    ] = None,
    actor: Actor = needs("jobs.read"),
) -> Response:
    """What the job tells, as server-sent events: `status`, `progress` and `log`, numbered from 1 without a gap.

    The stream ends after the event with the job's last status. Where it breaks off before, `Last-Event-ID` goes on
    behind the last event read, and nothing is lost or told twice. `signed-out` is the end of the caller's sign-in.
    """
    hub: Hub = request.app.state.hub
    after = int(last_event_id) if last_event_id is not None and _NUMBER.fullmatch(last_event_id) else 0
    begun = await hub.read(lambda: _look(actor, job_id, after))
    if begun is None:
        return Response(status_code=204)
    return EventStream(_follow(hub, actor, job_id, after))


async def _follow(hub: Hub, actor: Actor, job_id: int, after: int) -> AsyncIterator[str]:
    with hub.subscribed(["jobs"], user_id=actor.user_id, key=job_id) as subscription:
        yield BEGIN
        await hub.listening()
        while True:
            subscription.take()
            try:
                found = await hub.read(lambda: _look(actor, job_id, after))  # noqa: B023 read before it changes
            except Unreachable:
                found = []
            except (NotSignedIn, NotFound) as error:
                yield event("signed-out", {"detail": str(error)})
                return
            if found is None:
                return
            for one in found:
                after = one.seq
                yield event(one.kind, {**one.body, "at": one.at}, id=one.seq)
            if not found and not await subscription.wait(PING_S):
                yield PING


def _look(actor: Actor, job_id: int, after: int) -> list[JobEvent] | None:
    """The events behind `after`; None where there will be none any more. NotFound, NotSignedIn."""
    with desk(actor) as session:
        job = _find(session, job_id)
        found = queries.events_after(session, job_id=job_id, seq=after, limit=_EVENTS_AT_ONCE)
        return None if not found and job.status not in queries.OPEN else found


def _find(session: Session, job_id: int) -> QueuedJob:
    job = queries.find_job(session, job_id=job_id)
    if job is None:
        raise NotFound("job", job_id)
    return job


def _is_own(job: QueuedJob, actor: Actor) -> bool:
    return job.requested_by == actor.user_id or actor.may("admin.write")


def _require_own(job: QueuedJob, actor: Actor) -> None:
    if not _is_own(job, actor):
        raise NotAllowed(f"job {job.job_id} was asked for by {job.actor}: only they or an admin may change its course")


def _detail(session: Session, job: QueuedJob, actor: Actor) -> JobDetailOut:
    lines = queries.last_events(session, job_id=job.job_id, kind="log", limit=LINES)
    kind = KINDS.get(job.name)
    is_open = job.status in queries.OPEN
    may_write = actor.may("jobs.write") and _is_own(job, actor)
    stops = job.status == "queued" or (kind is not None and kind.is_cancellable)
    return JobDetailOut(
        **JobOut.of(job).model_dump(),
        payload=job.payload,
        result=job.result,
        may_cancel=may_write and is_open and stops,
        may_retry=may_write and not is_open and job.status != "succeeded",
        lines=[_line(one) for one in lines],
        last_seq=job.event_count,
    )


def _line(one: JobEvent) -> LineOut:
    fields: dict[str, Any] = dict(one.body)
    level, said = str(fields.pop("level", "info")), str(fields.pop("event", ""))
    return LineOut(seq=one.seq, at=one.at, level=level, event=said, fields=fields)
