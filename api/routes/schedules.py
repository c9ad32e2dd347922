"""The timetable: what runs when and how it went, and each entry by hand."""

from fastapi import Response

from api.deps import desk, needs
from api.once import Once, do_once
from api.schemas.jobs import JobOut
from api.schemas.schedules import ScheduleOut, ScheduleRun
from api.word import Word
from auth.actor import Actor
from auth.audit import record
from core.clock import now
from core.errors import NotFound
from database.queries.jobs import find_job
from database.session import Session
from jobs.schedule import Standing, run_now, standings

router = Word("schedules", tags=["admin"])


@router.get("")
def list_schedules(actor: Actor = needs("jobs.read")) -> list[ScheduleOut]:
    """Every entry of the timetable, with its next run and its newest."""
    with desk(actor) as session:
        return [_shown(standing) for standing in standings(session)]


@router.post("/{name}/run", status_code=202, response_model=JobOut)
def run_schedule(
    name: str, once: Once, given: ScheduleRun | None = None, actor: Actor = needs("admin.write")
) -> Response:
    """Ask for an entry's job now, beside the timetable."""
    as_of = None if given is None else given.as_of

    def work(session: Session) -> JobOut:
        job_id = run_now(session, name=name, as_of=as_of, actor=actor.email, requested_by=actor.user_id)
        after = {"job_id": job_id, "as_of": as_of}
        record(session, actor=actor.email, action="run", subject="schedule", subject_id=name, after=after)
        job = find_job(session, job_id=job_id)
        if job is None:
            raise NotFound("job", job_id)
        return JobOut.of(job)

    return do_once(once, actor, work, status=202, headers=lambda job: {"Location": f"/api/v1/jobs/{job.job_id}"})


def _shown(standing: Standing) -> ScheduleOut:
    entry = standing.entry
    return ScheduleOut(
        name=entry.name,
        days=entry.days.value,
        hour=str(entry.hour),
        why=entry.why,
        takes_as_of="as_of" in type(entry.job(now().date())).model_fields,
        next_on=standing.next_on,
        next_at=standing.next_at,
        last=None if standing.last is None else JobOut.of(standing.last),
    )
