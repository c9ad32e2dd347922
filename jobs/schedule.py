"""The timetable put to work: raises what is due, tells what was and what will be, runs an entry by hand."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from core.clock import now
from core.errors import InputError
from core.jobs import Job
from database.queries import jobs as queries
from database.session import Session
from database.tables.jobs import QueuedJob
from jobs.service import submit, submit_due, try_again
from jobs.timetable import TIMETABLE, Entry, entry_named, latest_due, next_due

ACTOR = "timetable"
LATE_TOLD = timedelta(minutes=2)


@dataclass(frozen=True)
class Standing:
    """An entry as it stands: when it is due next, and the newest job of its name."""

    entry: Entry
    next_on: date
    next_at: datetime
    last: QueuedJob | None


def raise_due(session: Session) -> list[int]:
    """Ask for every job of the timetable that has fallen due and was not asked for yet; their numbers.

    Of days that were missed while nobody looked only the newest is raised, with a line that says how late. An entry
    that has just been added owes nothing for the time before.
    """
    at = now()
    known = queries.known_since(session, names=list(TIMETABLE), now=at)
    done = queries.last_due(session)
    raised = []
    for name, entry in TIMETABLE.items():
        found = latest_due(entry, at)
        if found is None:
            continue
        day, moment = found
        if moment < known[name] or (name in done and done[name] >= day):
            continue
        job_id = submit_due(session, entry.job(day), due_on=day, actor=ACTOR, note=_lateness(at - moment))
        if job_id is not None:
            raised.append(job_id)
    return raised


def raise_again(session: Session, *, name: str, due_on: date) -> int | None:
    """Ask once more for a job of the timetable that was refused, its reason being gone; None where there is none."""
    job = queries.find_due(session, name=name, due_on=due_on)
    if job is None or job.status != "refused" or queries.open_retry(session, origin_id=job.job_id) is not None:
        return None
    return try_again(session, job_id=job.job_id, actor=ACTOR, requested_by=None).job_id


def _lateness(late: timedelta) -> str | None:
    if late < LATE_TOLD:
        return None
    hours, minutes = divmod(int(late.total_seconds() // 60), 60)
    return f"raised {hours} h {minutes} min late: the dispatcher was not running when it was due"


def standings(session: Session) -> list[Standing]:
    """Every entry with its next and its newest run."""
    at, newest = now(), queries.newest_by_name(session, names=list(TIMETABLE))
    return [Standing(entry, *next_due(entry, at), newest.get(name)) for name, entry in TIMETABLE.items()]


def run_now(session: Session, *, name: str, as_of: date | None, actor: str, requested_by: int | None) -> int:
    """Ask for an entry's job now, beside the timetable; the job's number.

    `as_of` is the session to do it for; UnknownName for another entry, InputError where the job takes no date.
    """
    kind = type(entry_named(name).job(now().date()))
    return submit(session, _job_of(kind, name, as_of), actor=actor, requested_by=requested_by)


def _job_of(kind: type[Job], name: str, as_of: date | None) -> Job:
    if as_of is None:
        return kind()
    if "as_of" not in kind.model_fields:
        raise InputError(f"as_of is {as_of}, but {name} takes no date: leave it out")
    return kind.model_validate({"as_of": as_of.isoformat()})
