"""Whatever is killed, flushed, stopped or sent twice: every job finishes exactly once, and none is lost.

Two dispatchers and a worker, a Redis and a PostgreSQL of their own. The jobs do something that shows in a table how
often it was begun and done.
"""

import multiprocessing
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import psycopg
import pytest
import redis

import core.config
import database.session
from core.config import child_environment, get_settings
from database.embedded import embedded_is_running, start_embedded
from database.queries import jobs as queries
from database.schema import migrate
from database.session import create_database_if_missing, database_url, engine, transaction
from jobs.timetable import TIMETABLE
from mlops.celery_app import QUEUE
from mlops.queue import queue_answers, queue_process, start_queue
from mlops.worker import work_on
from tests.factories.jobs import EFFECTS, CountEffect, ask, register
from tests.mlops.chaos import COMMAND, QUICK

pytestmark = [pytest.mark.servers, pytest.mark.slow]
IN_TIME_S = 60
_numbers = count(1)


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Ask now and then, so that the question itself costs nothing."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.15)


@dataclass
class Rig:
    """The servers and processes of one scenario after the other."""

    postgres_dir: Path
    url: str
    log_dir: Path
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, name: str, word: str) -> None:
        """Start a process, or start it again."""
        with (self.log_dir / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*COMMAND, word],
                env=child_environment(DATABASE_URL=self.url, REMAP_SIGTERM="SIGQUIT"),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """End a process and its children, without a word."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def redis(self) -> redis.Redis:
        """The queue."""
        return redis.Redis.from_url(f"unix://{get_settings().redis_socket}")

    def kill_redis(self, *, and_forget: bool = False) -> None:
        """End the queue's server; `and_forget`: with what it kept on disk."""
        process_id = queue_process().process_id()
        assert process_id is not None
        os.kill(process_id, signal.SIGKILL)
        wait_for(lambda: not queue_process().is_alive())
        if and_forget:
            for file in get_settings().redis_dir.rglob("*aof*"):
                if file.is_file():
                    file.unlink()

    def start_redis(self) -> None:
        """Start the queue's server."""
        start_queue()
        wait_for(queue_answers)

    def kill_postgres(self) -> None:
        """As `pg_ctl stop -m immediate`: no transaction ends, no connection is closed in order."""
        postmaster = int((self.postgres_dir / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGQUIT)
        wait_for(lambda: not embedded_is_running(self.postgres_dir), 30)

    def start_postgres(self) -> None:
        """Start it; it recovers."""
        start_embedded(self.postgres_dir)

    def logs(self) -> str:
        """What the processes wrote last, for a test that fails."""
        return "\n".join(f"--- {file.name}\n{file.read_text()[-3000:]}" for file in self.log_dir.glob("*.log"))


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """Everything up: two dispatchers, one worker, both servers. Not below pytest's own folder, which another pytest may
    close to the user that PostgreSQL runs as."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="acis-chaos-") as name:
        folder = Path(name)
        patch.delenv("REDIS_URL", raising=False)
        patch.delenv("API_DATABASE_URL", raising=False)
        patch.setenv("ACIS_VAR_DIR", str(folder))
        core.config.get_settings.cache_clear()
        database.session.dispose()
        url = create_database_if_missing(start_embedded(folder / "postgres"), "acis")
        patch.setenv("DATABASE_URL", url)
        core.config.get_settings.cache_clear()
        migrate(engine())
        with transaction() as session:
            queries.known_since(session, names=list(TIMETABLE), now=datetime(2100, 1, 1, tzinfo=UTC))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(EFFECTS)
        rig = Rig(folder / "postgres", url, folder)
        rig.start_redis()
        for name, word in (("dispatcher 1", "dispatcher"), ("dispatcher 2", "dispatcher"), ("worker", "worker")):
            rig.start(name, word)
        yield rig
        for process in rig.processes.values():
            os.killpg(process.pid, signal.SIGCONT)
            process.terminate()
        for name in list(rig.processes):
            try:
                rig.processes[name].wait(20)
            except subprocess.TimeoutExpired:
                rig.kill(name)
        queue_process().stop()
        database.session.dispose()
        rig.kill_postgres()
    core.config.get_settings.cache_clear()


@dataclass(frozen=True)
class Batch:
    """Some jobs asked for together."""

    jobs: dict[int, str]

    def began(self) -> bool:
        """Whether one of them is at work, half-way."""
        with transaction() as session:
            found = queries.jobs_numbered(session, job_ids=list(self.jobs))
            return any(job.status == "running" and job.percent for job in found)

    def is_over(self) -> bool:
        """Whether all have come to an end."""
        with transaction() as session:
            found = queries.jobs_numbered(session, job_ids=list(self.jobs))
            return all(job.status not in queries.OPEN for job in found)

    def effects(self) -> Counter[str]:
        """How often each was begun and done."""
        with psycopg.connect(database_url(), autocommit=True) as connection:
            return Counter(dict(connection.execute("select key, times from effects").fetchall()))

    def require_done_once(self, rig: Rig) -> None:
        """Wait for the end; every job succeeded once, and did what it does once."""
        try:
            wait_for(self.is_over, IN_TIME_S)
        except AssertionError as error:
            raise AssertionError(rig.logs()) from error
        effects = self.effects()
        with transaction() as session:
            for job in queries.jobs_numbered(session, job_ids=list(self.jobs)):
                told = queries.events_after(session, job_id=job.job_id, seq=0, limit=5000)
                ends = [one.body["status"] for one in told if one.body.get("status") in ("succeeded", "failed")]
                assert ends == ["succeeded"], f"{job.job_id}: {ends} {job.error}\n{rig.logs()}"
                assert [one.seq for one in told] == list(range(1, job.event_count + 1))
                assert effects[f"done {self.jobs[job.job_id]}"] == 1
                assert effects[f"begun {self.jobs[job.job_id]}"] <= job.attempt


def batch(size: int = 3, *, steps: int = 5, step_s: float = 0.05) -> Batch:
    """Ask for some jobs."""
    keys = [f"{next(_numbers)}" for _ in range(size)]
    return Batch({ask(CountEffect(key=key, steps=steps, step_s=step_s)): key for key in keys})


def race(job_id: int) -> None:
    """What a process does that got the message."""
    register()
    work_on(job_id, pace=QUICK)


def shaken(rig: Rig, shake: Callable[[], None], *, size: int = 3) -> Batch:
    """Ask for jobs, wait until one is half-way, shake, and require that all were done once."""
    jobs = batch(size, step_s=0.1)
    wait_for(jobs.began, IN_TIME_S)
    shake()
    jobs.require_done_once(rig)
    return jobs


class TestChaos:
    def test_quiet_days(self, rig: Rig) -> None:
        jobs = batch(4)
        jobs.require_done_once(rig)
        effects = jobs.effects()
        assert all(effects[f"begun {key}"] == 1 for key in jobs.jobs.values())

    def test_queue_is_flushed(self, rig: Rig) -> None:
        def flush() -> None:
            with rig.redis() as client:
                client.flushall()

        shaken(rig, flush)

    def test_queue_dies_and_comes_back_empty(self, rig: Rig) -> None:
        jobs = batch(2, step_s=0.1)
        wait_for(jobs.began, IN_TIME_S)
        rig.kill_redis(and_forget=True)
        more = batch(1)
        jobs.require_done_once(rig)
        more.require_done_once(rig)
        rig.start_redis()
        shaken(rig, lambda: None, size=1)

    def test_database_is_stopped_at_once_and_restarted(self, rig: Rig) -> None:
        def restart() -> None:
            rig.kill_postgres()
            time.sleep(0.5)
            rig.start_postgres()

        shaken(rig, restart)

    def test_worker_is_killed_in_the_middle(self, rig: Rig) -> None:
        def kill() -> None:
            rig.kill("worker")
            rig.start("worker", "worker")

        jobs = shaken(rig, kill)
        with transaction() as session:
            attempts = [job.attempt for job in queries.jobs_numbered(session, job_ids=list(jobs.jobs))]
        assert max(attempts) > 1, "nobody was killed at work"

    def test_one_dispatcher_is_killed(self, rig: Rig) -> None:
        shaken(rig, lambda: rig.kill("dispatcher 2"), size=2)
        rig.start("dispatcher 2", "dispatcher")

    def test_message_comes_many_times_to_many_processes(self, rig: Rig) -> None:
        jobs = batch(1, steps=3)
        with rig.redis() as client:
            wait_for(lambda: client.llen(QUEUE) or jobs.is_over() or jobs.began(), IN_TIME_S)
        (job_id,) = jobs.jobs
        database.session.dispose()  # no connection may be shared with a fork
        racers = [multiprocessing.get_context("fork").Process(target=race, args=(job_id,)) for _ in range(4)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join(60)
        jobs.require_done_once(rig)
        effects = jobs.effects()
        assert all(effects[f"begun {key}"] == 1 for key in jobs.jobs.values())

    def test_worker_stands_still_and_comes_to_too_late(self, rig: Rig) -> None:
        worker = rig.processes["worker"].pid

        def freeze() -> None:
            os.killpg(worker, signal.SIGSTOP)

        jobs = shaken(rig, freeze, size=2)
        os.killpg(worker, signal.SIGCONT)
        shaken(rig, lambda: None, size=1)
        jobs.require_done_once(rig)

    def test_clean_stop_leaves_nothing_at_work(self, rig: Rig) -> None:
        """Last: the dispatchers end when told, having finished or given back what they had begun themselves."""
        rig.kill("worker")
        jobs = batch(1, steps=20, step_s=0.1)
        wait_for(jobs.began, IN_TIME_S)
        for name in ("dispatcher 1", "dispatcher 2"):
            rig.processes[name].terminate()
        for name in ("dispatcher 1", "dispatcher 2"):
            assert rig.processes.pop(name).wait(30) == 0
        with transaction() as session:
            running = [job for job in queries.jobs_numbered(session, job_ids=list(jobs.jobs)) if job.worker]
        assert running == []
