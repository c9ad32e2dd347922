"""Jobs that only tests know, and how to ask for them."""

import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

import psycopg
import pytest

import core.jobs
import mlops.worker
from core.jobs import Job, Lane, Ticket
from database.session import database_url, transaction
from jobs.service import submit

EFFECTS = "create table if not exists effects (key text primary key, times integer not null)"


class CountEffect(Job):
    """Do something that may be done once only, after `steps` steps of `step_s` seconds each."""

    name = "count-effect"
    lane = Lane.DESK
    attempts_max = 20
    key: str
    steps: int = 1
    step_s: float = 0.0


class Stubborn(Job):
    """Never tells progress."""

    name = "stubborn"
    may_be_killed = True
    seconds: float = 60.0


def count_effect(job: CountEffect, ticket: Ticket) -> dict[str, Any]:
    """A job as they all are: repeated work finds its effect there. `executions` counts how often it was begun."""
    with psycopg.connect(database_url(), autocommit=True) as connection:
        connection.execute(EFFECTS)
        connection.execute(
            "insert into effects values (%s, 1) on conflict (key) do update set times = effects.times + 1",
            (f"begun {job.key}",),
        )
        for done in range(job.steps):
            ticket.progress("steps", done, job.steps)
            time.sleep(job.step_s)
        ticket.progress("steps", job.steps, job.steps)
        connection.execute("insert into effects values (%s, 1) on conflict (key) do nothing", (f"done {job.key}",))
    return {"key": job.key, "not a number": float("nan")}


def be_stubborn(job: Stubborn, ticket: Ticket) -> None:
    """Sleep without a word."""
    time.sleep(job.seconds)


WORK: dict[type[Job], Callable[..., Any]] = {CountEffect: count_effect, Stubborn: be_stubborn}


def register() -> None:
    """Let this process know the jobs of the tests: for processes that only tests start."""
    kinds = cast("dict[str, type[Job]]", core.jobs.KINDS)
    for kind, work in WORK.items():
        kinds[kind.name] = kind
        sys.modules[f"mlops.jobs.{kind.name.replace('-', '_')}"] = module_of(work)


def module_of(work: Callable[..., Any]) -> ModuleType:
    """A file of `mlops/jobs` that holds this work."""
    module = ModuleType("stand_in")
    module.perform = work  # type: ignore[attr-defined]  # a module made by hand
    return module


def stand_in(monkeypatch: pytest.MonkeyPatch, work: Callable[..., Any]) -> None:
    """Whatever job is begun in this process does this instead."""
    monkeypatch.setattr(mlops.worker, "import_module", lambda _: module_of(work))


def ask(job: Job, *, is_private: bool = False) -> int:
    """Ask for a job, committed; its number."""
    with transaction() as session:
        return submit(session, job, actor="test", requested_by=None, is_private=is_private)
