"""Runs: claimed once per job, session and book; told step by step; finished once."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import psycopg
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from core import clock
from core.errors import Refused
from database.session import Session, database_url
from database.tables.runs import Run


@contextmanager
def exclusive_run(job: str, as_of: date, book: str) -> Iterator[None]:
    """Let one process at a time work on this run; the lock dies with the process that holds it.

    Raises Refused when another process is at it.
    """
    name = f"acis:run:{job}:{as_of}:{book}"
    with psycopg.connect(database_url(), autocommit=True) as connection:
        row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", (name,)).fetchone()
        if row is None or not row[0]:
            raise Refused(f"{job} of {as_of} in book {book!r} is already running in another process: wait for it")
        yield


def find_run(session: Session, *, job: str, as_of: date, book: str) -> Run | None:
    """The run of this job, session and book, if there was one."""
    return session.scalar(select(Run).where(Run.job == job, Run.as_of == as_of, Run.book == book))


def claim_run(session: Session, *, job: str, as_of: date, book: str, code_commit: str) -> Run:
    """Start the run, or start the unfinished one again with its attempt counted."""
    session.execute(
        insert(Run)
        .values(
            job=job, as_of=as_of, book=book, status="running", attempt=0, steps={}, result={}, code_commit=code_commit
        )
        .on_conflict_do_nothing(index_elements=["job", "as_of", "book"])
    )
    run = session.scalars(
        select(Run).where(Run.job == job, Run.as_of == as_of, Run.book == book).with_for_update()
    ).one()
    if run.status == "succeeded":
        raise Refused(f"{job} of {as_of} in book {book!r} has already succeeded as run {run.run_id}")
    run.status = "running"
    run.attempt += 1
    run.error = None
    run.steps = {}
    run.code_commit = code_commit
    run.started_at = clock.now()
    session.flush()
    return run


def open_run(session: Session, *, job: str, as_of: date, book: str, code_commit: str) -> Run:
    """The run as it stands, finished or not; begun where there is none: for work that answers piece by piece."""
    session.execute(
        insert(Run)
        .values(
            job=job, as_of=as_of, book=book, status="running", attempt=1, steps={}, result={}, code_commit=code_commit
        )
        .on_conflict_do_nothing(index_elements=["job", "as_of", "book"])
    )
    return session.scalars(select(Run).where(Run.job == job, Run.as_of == as_of, Run.book == book)).one()


def add_to_result(session: Session, *, run_id: int, changes: dict[str, Any]) -> None:
    """Set some keys of a run's answer; the others stay."""
    run = session.scalars(select(Run).where(Run.run_id == run_id).with_for_update()).one()
    run.result = {**run.result, **changes}


def keep_steps(session: Session, *, run_id: int, steps: dict[str, float]) -> None:
    """Note the seconds of the steps that are done, in the transaction of the last of them."""
    session.execute(update(Run).where(Run.run_id == run_id).values(steps=dict(steps)))


def finish_run(session: Session, *, run_id: int, steps: dict[str, float], result: dict[str, Any]) -> None:
    """Close the run with the seconds of its steps and with what it answers."""
    run = session.get_one(Run, run_id)
    run.status = "succeeded"
    run.steps = dict(steps)
    run.result = result
    run.finished_at = clock.now()


def fail_run(session: Session, *, run_id: int, error: str) -> None:
    """Close the run with what went wrong; it may be claimed again."""
    run = session.get_one(Run, run_id)
    run.status = "failed"
    run.error = error
    run.finished_at = clock.now()


def latest_runs(session: Session, *, limit: int = 10) -> list[Run]:
    """The newest runs of the firm's own book, newest first."""
    return list(session.scalars(select(Run).where(Run.book == "paper").order_by(Run.run_id.desc()).limit(limit)))


def count_runs(session: Session, *, job: str, book: str, first_on: date, last_on: date) -> int:
    """How many runs of `job` succeeded in `book` between the two sessions."""
    return (
        session.scalar(
            select(func.count()).where(
                Run.job == job, Run.book == book, Run.as_of.between(first_on, last_on), Run.status == "succeeded"
            )
        )
        or 0
    )


def lived_until(session: Session, *, job: str, book: str) -> date | None:
    """The newest session whose `job` succeeded in `book`, else the newest with bars; None without either.

    Reads the view that every role may read.
    """
    lived: date | None = session.scalar(
        text("""
            select coalesce(
                (select max(as_of) from night_reports where job = :job and book = :book and status = 'succeeded'),
                (select max(session_on) from daily_bars where session_on >= make_date(
                    (select max(year) from data_vintages where dataset = 'daily_bars')::int, 1, 1)),
                (select max(session_on) from daily_bars))
        """),
        {"job": job, "book": book},
    )
    return lived
