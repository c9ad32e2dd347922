"""One job in this process: what becomes of its row, whatever the job does."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import structlog
from sqlalchemy.exc import OperationalError

from core.config import get_settings
from core.errors import Cancelled, IntegrityBroken, NotASession, Refused, Unreachable
from core.jobs import KINDS, BuildFeatures, Job, Nightly, Ticket, TrainScreener
from core.log import configure_logs, get_logger
from database.queries import jobs as queries
from database.session import transaction
from database.tables.jobs import QueuedJob
from jobs.service import stop, submit_due
from mlops import worker
from mlops.joblog import LINES_MAX
from mlops.pace import Pace
from mlops.worker import work_on
from tests.factories.jobs import ask, stand_in

FAST = Pace(heartbeat_s=0.02, progress_s=0.0, retry_pause_s=30.0, recording_s=0.3)
pytestmark = pytest.mark.usefixtures("committed_database")


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """Logs as a worker has them."""
    before = structlog.get_config()
    configure_logs(get_settings().model_copy(update={"log_level": "INFO"}))
    yield
    structlog.configure(**before)


def row(job_id: int) -> QueuedJob:
    with transaction() as session:
        found = queries.find_job(session, job_id=job_id)
        assert found is not None
        return found


def told(job_id: int, kind: str) -> list[dict[str, Any]]:
    with transaction() as session:
        return [event.body for event in queries.events_after(session, job_id=job_id, seq=0, limit=5000, kinds=[kind])]


def raising(error: BaseException) -> Any:
    def work(_: Job, __: Ticket) -> None:
        raise error

    return work


class TestOutcomes:
    def test_success_keeps_the_result_as_json(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stand_in(monkeypatch, lambda job, ticket: {"on": date(2020, 4, 1), "nan": float("nan"), "text": "a\0b"})
        job_id = ask(Nightly(as_of=date(2017, 6, 30)))
        assert work_on(job_id, pace=FAST) == "succeeded"
        job = row(job_id)
        assert (job.status, job.attempt, job.percent, job.worker) == ("succeeded", 1, Decimal(100), None)
        assert job.result == {"on": "2020-04-01", "nan": None, "text": "a\ufffdb"}
        assert [one["status"] for one in told(job_id, "status")] == ["queued", "running", "succeeded"]

    def test_work_gets_payload_and_ticket(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[tuple[Job, Ticket]] = []
        stand_in(monkeypatch, lambda job, ticket: seen.append((job, ticket)))
        job_id = ask(Nightly(as_of=date(2017, 6, 30)))
        work_on(job_id, pace=FAST)
        ((job, ticket),) = seen
        assert job == Nightly(as_of=date(2017, 6, 30))
        assert (ticket.job_id, ticket.origin_id, ticket.actor) == (job_id, job_id, "test")

    @pytest.mark.parametrize(
        "error", [Refused("the gate says no"), NotASession(date(2017, 7, 4), date(2017, 7, 3), date(2017, 7, 5))]
    )
    def test_refusal_is_an_answer_and_final(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        stand_in(monkeypatch, raising(error))
        job_id = ask(BuildFeatures())
        assert work_on(job_id, pace=FAST) == "refused"
        assert row(job_id).error == str(error)

    @pytest.mark.parametrize("error", [IntegrityBroken("the books do not balance"), KeyError("a bug")])
    def test_fault_of_ours_fails_at_once(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        stand_in(monkeypatch, raising(error))
        job_id = ask(BuildFeatures())
        assert work_on(job_id, pace=FAST) == "failed"
        assert (row(job_id).error or "").startswith(type(error).__name__)
        assert [line["event"] for line in told(job_id, "log")] == ["fault"]

    @pytest.mark.parametrize(
        "error", [Unreachable("the broker does not answer"), OperationalError("select 1", {}, Exception("gone"))]
    )
    def test_fault_that_may_pass_is_tried_again_after_a_pause(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        stand_in(monkeypatch, raising(error))
        job_id = ask(BuildFeatures())
        assert work_on(job_id, pace=FAST) == "given back"
        job = row(job_id)
        assert (job.status, job.attempt, job.attempts_max) == ("queued", 1, 3)
        assert job.not_before_at is not None
        assert work_on(job_id, pace=FAST) == "nothing to do", "its pause is not over"

    def test_tries_come_to_an_end_and_pauses_grow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stand_in(monkeypatch, raising(Unreachable("away")))
        job_id = ask(BuildFeatures())
        for expected in ("given back", "given back", "failed"):
            with transaction() as session:
                session.get_one(QueuedJob, job_id).not_before_at = None
            assert work_on(job_id, pace=FAST) == expected
        assert [one["pause_s"] for one in told(job_id, "status") if "pause_s" in one] == [30.0, 90.0]

    def test_worker_told_to_stop_gives_the_job_back_and_it_does_not_count(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stand_in(monkeypatch, raising(worker.Stopped()))
        job_id = ask(BuildFeatures())
        assert work_on(job_id, pace=FAST) == "given back"
        job = row(job_id)
        assert (job.status, job.attempt, job.attempts_max) == ("queued", 1, 4)

    def test_stop_in_the_middle_of_a_library_is_no_fault_of_the_job(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As psycopg does: broken off, it complains about the state of its connection instead."""
        monkeypatch.setattr(worker, "_stop", worker._Stop())
        monkeypatch.setenv("PGAPPNAME", "restored after the test")

        def work(_: Job, __: Ticket) -> None:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(10)
            finally:
                raise ValueError("connection in transaction status ACTIVE")

        stand_in(monkeypatch, work)
        before = signal.getsignal(signal.SIGTERM)
        try:
            assert worker.do(ask(BuildFeatures()), pace=FAST) == "given back"
        finally:
            signal.signal(signal.SIGTERM, before)

    def test_stop_before_the_work_begins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stop_asked = worker._Stop()
        stop_asked.is_asked = True
        monkeypatch.setattr(worker, "_stop", stop_asked)
        stand_in(monkeypatch, raising(AssertionError("must not be called")))
        assert work_on(ask(BuildFeatures()), pace=FAST) == "given back"

    def test_result_that_is_no_dict_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stand_in(monkeypatch, lambda job, ticket: [1])
        job_id = ask(BuildFeatures())
        assert work_on(job_id, pace=FAST) == "failed"

    @pytest.mark.parametrize("columns", [{"name": "no-such-job"}, {"payload": {"as_off": 1}}])
    def test_what_this_version_does_not_know_starts_nothing(
        self, monkeypatch: pytest.MonkeyPatch, columns: dict[str, Any]
    ) -> None:
        stand_in(monkeypatch, raising(AssertionError("must not be called")))
        job_id = ask(BuildFeatures())
        with transaction() as session:
            for name, value in columns.items():
                setattr(session.get_one(QueuedJob, job_id), name, value)
        work_on(job_id, pace=FAST)
        assert row(job_id).status == "failed"
        assert "must not be called" not in (row(job_id).error or "")

    def test_day_s_job_brings_its_follower_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stand_in(monkeypatch, lambda job, ticket: {})
        day = date(2020, 4, 2)
        with transaction() as session:
            job_id = submit_due(session, core_job("watch-drift"), due_on=day, actor="timetable")
        assert job_id is not None
        work_on(job_id, pace=FAST)
        with transaction() as session:
            assert queries.last_due(session)["respond-to-drift"] == day


def core_job(name: str) -> Job:
    return KINDS[name]()


class TestClaim:
    def test_of_many_at_once_one_works(self, monkeypatch: pytest.MonkeyPatch) -> None:
        done: list[int] = []
        stand_in(monkeypatch, lambda job, ticket: done.append(ticket.job_id))
        job_id, outcomes = ask(BuildFeatures()), []
        threads = [threading.Thread(target=lambda: outcomes.append(work_on(job_id, pace=FAST))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["nothing to do"] * 3 + ["succeeded"]
        assert done == [job_id]


class TestProgress:
    def test_is_told_step_by_step_with_a_real_percentage(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def work(_: Job, ticket: Ticket) -> None:
            ticket.progress("rows", 1, 8)
            assert (row(ticket.job_id).step, row(ticket.job_id).percent) == ("rows", Decimal("12.5"))
            ticket.progress("waiting for nobody knows what", 0, 0)
            assert row(ticket.job_id).percent is None

        stand_in(monkeypatch, work)
        job_id = ask(BuildFeatures())
        assert work_on(job_id, pace=FAST) == "succeeded"
        assert told(job_id, "progress")[0] == {"step": "rows", "done": 1, "total": 8}

    def test_is_throttled_but_for_the_ends_of_a_step(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def work(_: Job, ticket: Ticket) -> None:
            for done in range(1001):
                ticket.progress("rows", done, 1000)

        stand_in(monkeypatch, work)
        job_id = ask(BuildFeatures())
        work_on(job_id, pace=Pace(progress_s=60.0))
        assert [one["done"] for one in told(job_id, "progress")] == [0, 1000]


class TestStopping:
    def test_running_job_stops_at_its_next_progress(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def work(_: Job, ticket: Ticket) -> None:
            with transaction() as session:
                assert stop(session, job_id=ticket.job_id, by="ada@firm.example").status == "running"
            for _again in range(500):
                ticket.progress("rows", 1, 2)
                time.sleep(0.01)
            raise AssertionError("it went on")

        stand_in(monkeypatch, work)
        job_id = ask(BuildFeatures())
        assert work_on(job_id, pace=FAST) == "cancelled"

    def test_job_that_was_given_to_another_stops_and_writes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def work(_: Job, ticket: Ticket) -> None:
            with transaction() as session:
                session.get_one(QueuedJob, ticket.job_id).attempt += 1
            with pytest.raises(Cancelled, match="another worker"):
                ticket.progress("rows", 1, 2)

        stand_in(monkeypatch, work)
        job_id = ask(BuildFeatures())
        assert work_on(job_id, pace=FAST) == "taken away"
        assert (row(job_id).status, row(job_id).attempt) == ("running", 2)

    def test_silent_job_that_may_be_killed_is_ended_by_force(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ended = threading.Event()

        def exit_now(code: int) -> None:
            assert code == worker.ENDED_BY_FORCE
            ended.set()

        def work(_: Job, ticket: Ticket) -> None:
            with transaction() as session:
                stop(session, job_id=ticket.job_id, by="ada@firm.example")
            assert ended.wait(10)

        monkeypatch.setattr("mlops.worker.os._exit", exit_now)
        stand_in(monkeypatch, work)
        job_id = ask(TrainScreener())
        work_on(job_id, pace=Pace(heartbeat_s=0.02, cancel_grace_s=0.1))
        assert row(job_id).status == "cancelled"

    def test_heart_stops_where_the_job_says_nothing_for_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        beats: list[Any] = []
        monkeypatch.setattr(BuildFeatures, "quiet_s_max", 0.1)

        def work(_: Job, ticket: Ticket) -> None:
            time.sleep(0.3)
            beats.append(row(ticket.job_id).heartbeat_at)
            time.sleep(0.2)
            beats.append(row(ticket.job_id).heartbeat_at)
            for _again in range(500):
                ticket.progress("at last", 1, 2)
                time.sleep(0.01)
                if row(ticket.job_id).heartbeat_at > beats[-1]:
                    return
            raise AssertionError("the heart did not beat again")

        stand_in(monkeypatch, work)
        assert work_on(ask(BuildFeatures()), pace=FAST) == "succeeded"
        assert beats[0] == beats[1]


class TestLines:
    def test_log_becomes_lines_without_secrets_and_clients(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def work(_: Job, ticket: Ticket) -> None:
            log = get_logger("test")
            log.info("hello", password="secret", rows=3)
            log.debug("too quiet")
            log.warning("halted", account_id=7)

        stand_in(monkeypatch, work)
        shared, private = ask(BuildFeatures()), ask(BuildFeatures(), is_private=True)
        work_on(shared, pace=FAST)
        work_on(private, pace=FAST)
        assert told(shared, "log") == [
            {"level": "info", "event": "hello", "room": "test", "password": "***", "rows": 3}
        ]
        assert [line["event"] for line in told(private, "log")] == ["hello", "halted"]

    def test_lines_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mlops.joblog.LINES_MAX", 5)
        assert LINES_MAX >= 5

        def work(_: Job, ticket: Ticket) -> None:
            for number in range(20):
                get_logger("test").info("line", number=number)

        stand_in(monkeypatch, work)
        job_id = ask(BuildFeatures())
        work_on(job_id, pace=FAST)
        assert [line["event"] for line in told(job_id, "log")] == ["line"] * 4 + ["no further lines here"]
