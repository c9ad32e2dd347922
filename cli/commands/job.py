"""`acis job`: what runs and what ran, as a person at the terminal sees it; stop it, try it again, ask for more."""

import json
from datetime import datetime
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.markup import escape

from cli.arguments import JsonFlag, asker
from cli.output import print_json, print_table, say
from core.errors import InputError, NotFound, UnknownName
from core.jobs import KINDS
from database.listening import Listener
from database.queries import jobs as queries
from database.queries.jobs import EVENTS_CHANNEL
from database.session import Session, database_url, transaction
from database.tables.jobs import STATUSES, JobEvent, QueuedJob
from jobs.service import stop, submit, try_again

group = typer.Typer(no_args_is_help=True)
Number = Annotated[int, typer.Argument(help="The job's number, as `acis job list` shows it.")]
_LINES = 50
_EVENTS_AT_ONCE = 500
_LISTEN_S = 2.0
FAILED = 1


@group.command("list")
def list_(
    status: Annotated[str | None, typer.Option(help=f"One of {', '.join(STATUSES)}.")] = None,
    name: Annotated[str | None, typer.Option(help="Only jobs of this kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, the newest first.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """Show the newest jobs."""
    if status is not None and status not in STATUSES:
        raise UnknownName("status", status, STATUSES)
    with transaction() as session:
        page = queries.page_of_jobs(
            session,
            status=None if status is None else [status],
            name=name,
            requested_by=None,
            sort="-created_at",
            limit=limit,
            cursor=None,
        )
        rows = [_row(row[0]) for row in page.rows]
    if as_json:
        print_json(rows)
        return
    columns = ["job", "name", "status", "percent", "step", "attempt", "asked by", "asked at", "finished at", "error"]
    print_table("jobs", columns, [[row[name] for name in columns] for row in rows])


@group.command()
def show(job_id: Number, as_json: JsonFlag = False) -> None:
    """Show one job with what it was asked, what it answered, and the end of its log."""
    with transaction() as session:
        job = _find(session, job_id)
        lines = queries.last_events(session, job_id=job_id, kind="log", limit=_LINES)
        told = {**_row(job), "payload": job.payload, "result": job.result, "lines": [line.body for line in lines]}
    if as_json:
        print_json(told)
        return
    print_table(f"job {job_id}", ["", ""], [(key, _cell(value)) for key, value in told.items() if key != "lines"])
    for line in lines:
        say(escape(_sentence(line)))


@group.command()
def follow(job_id: Number) -> None:
    """Show what a job tells, from its beginning until its end; exit code 0 when it has succeeded."""
    _follow(job_id)


@group.command()
def cancel(job_id: Number) -> None:
    """Stop a job: one that waits at once, one that runs at its next step."""
    with transaction() as session:
        job = stop(session, job_id=job_id, by=asker())
    say(f"job {job_id} is cancelled" if job.status == "cancelled" else f"job {job_id} will stop at its next step")


@group.command()
def retry(job_id: Number) -> None:
    """Ask for the same work again, under a new number."""
    with transaction() as session:
        job = try_again(session, job_id=job_id, actor=asker(), requested_by=None)
    say(f"job {job.job_id} tries job {job_id} again; `acis job follow {job.job_id}` shows it")


@group.command()
def run(
    name: Annotated[str, typer.Argument(help="What kind of job.")],
    payload: Annotated[str, typer.Option(help='What it is to do, as JSON: \'{"as_of": "2017-06-30"}\'.')] = "{}",
    follow: Annotated[bool, typer.Option("--follow", help="Stay and show what it tells.")] = False,
) -> None:
    """Ask for a job. The dispatcher of `acis up` sees that it is done."""
    if name not in KINDS:
        raise UnknownName("job", name, list(KINDS))
    try:
        job = KINDS[name].model_validate(json.loads(payload))
    except (ValidationError, json.JSONDecodeError) as error:
        raise InputError(f"--payload is {payload!r}, which {name} does not take: {error}") from error
    with transaction() as session:
        job_id = submit(session, job, actor=asker(), requested_by=None)
    say(f"job {job_id} is asked for")
    if follow:
        _follow(job_id)


def _follow(job_id: int) -> None:
    seq = 0
    with Listener(database_url(), [EVENTS_CHANNEL]) as listener:
        while True:
            with transaction() as session:
                job = _find(session, job_id)
                found = queries.events_after(session, job_id=job_id, seq=seq, limit=_EVENTS_AT_ONCE)
            for one in found:
                seq = one.seq
                say(escape(_sentence(one)))
            if not found and job.status not in queries.OPEN:
                break
            if not found:
                listener.hear(timeout_s=_LISTEN_S)
    if job.status != "succeeded":
        raise typer.Exit(FAILED)


def _find(session: Session, job_id: int) -> QueuedJob:
    job = queries.find_job(session, job_id=job_id)
    if job is None:
        raise NotFound("job", job_id)
    return job


def _row(job: QueuedJob) -> dict[str, Any]:
    return {
        "job": job.job_id,
        "name": job.name,
        "status": job.status,
        "percent": job.percent,
        "step": job.step,
        "attempt": f"{job.attempt} of {job.attempts_max}",
        "asked by": job.actor,
        "asked at": job.created_at,
        "finished at": job.finished_at,
        "error": job.error,
    }


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return json.dumps(value) if isinstance(value, dict) else value


def _sentence(one: JobEvent) -> str:
    body, at = one.body, one.at.strftime("%H:%M:%S")
    if one.kind == "progress":
        return f"{at}  {body['step']}: {body['done']} of {body['total']}"
    if one.kind == "status":
        return f"{at}  {body['status']}{': ' + body['error'] if body.get('error') else ''}"
    more = "".join(f" {key}={value}" for key, value in body.items() if key not in ("event", "level", "room"))
    return f"{at}  {body.get('level', 'info')}: {body.get('event', '')}{more}"
