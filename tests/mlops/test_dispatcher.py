"""The dispatcher's rounds: who is sent, who is taken from a dead worker, what it does when nobody else does."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from auth.audit import record
from core.clock import fixed_clock
from core.errors import Unreachable
from core.jobs import BuildFeatures, Lane, RefreshData, SendApproved, TrainScreener
from database.queries import jobs as queries
from database.queries.idempotency import take_key
from database.queries.jobs import OpenJob
from database.queries.runs import exclusive_run
from database.session import transaction
from database.tables.jobs import JobEvent, QueuedJob
from database.tables.users import User
from jobs import lease
from jobs.schedule import raise_due
from jobs.timetable import TIMETABLE
from mlops.chores import CHORES
from mlops.dispatcher import Dispatcher, plan_round
from mlops.pace import Pace
from mlops.workers import LANES
from tests.factories.jobs import ask
from tests.mlops.test_process import wait_for

NAMES = {Lane.FIRM: "build-features", Lane.TRAINING: "train-screener", Lane.DESK: "send-approved"}
SEND = SendApproved(as_of=date(2017, 6, 30), book="paper", account_ids=(1,))
pytestmark = pytest.mark.usefixtures("committed_database")


@pytest.fixture(autouse=True)
def empty(committed_database: str) -> None:
    with transaction() as session:
        session.execute(text("delete from jobs"))
        session.execute(text("delete from timetable_entries"))
        # Entries that are known from now on owe nothing.
        queries.known_since(session, names=list(TIMETABLE), now=datetime(2020, 4, 2, 12, tzinfo=UTC))


class Queue:
    """A queue that remembers what it was sent, and may be down."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.is_down = False

    def send(self, job_id: int) -> None:
        if self.is_down:
            raise Unreachable("nobody there")
        self.sent.append(job_id)

    def answers(self) -> bool:
        return not self.is_down


def dispatcher(queue: Queue, tmp_path: Path | None = None, **seconds: float) -> Dispatcher:
    """One whose own jobs only leave their number in a file."""
    note = "import pathlib, sys; pathlib.Path(sys.argv[1], sys.argv[2]).touch()"
    return Dispatcher(
        pace=Pace(**{"round_s": 0.05, **seconds}),
        send=queue.send,
        queue_answers=queue.answers,
        worker_command=[sys.executable, "-c", note, str(tmp_path)],
    )


def row(job_id: int) -> QueuedJob:
    with transaction() as session:
        found = queries.find_job(session, job_id=job_id)
        assert found is not None
        return found


def change(job_id: int, **values: Any) -> None:
    with transaction() as session:
        for name, value in values.items():
            setattr(session.get_one(QueuedJob, job_id), name, value)


def long_ago(job_id: int, column: str) -> None:
    """Two minutes go by."""
    with transaction() as session:
        session.execute(
            text(f"update jobs set {column} = {column} - interval '2 minutes' where job_id = :id"), {"id": job_id}
        )


def begin(job_id: int, *, silent_s: float = 0.0) -> lease.Held:
    with transaction() as session:
        held = lease.take(session, job_id=job_id, worker="elsewhere:1")
        assert held is not None
        session.execute(
            text("update jobs set heartbeat_at = clock_timestamp() - make_interval(secs => :s) where job_id = :id"),
            {"s": silent_s, "id": job_id},
        )
        return held


def status_events(job_id: int) -> list[str]:
    with transaction() as session:
        found = queries.events_after(session, job_id=job_id, seq=0, limit=100, kinds=["status"])
        return [event.body["status"] for event in found]


open_job = st.builds(
    OpenJob,
    job_id=st.integers(1, 10**6),
    name=st.sampled_from([*NAMES.values(), "no-such-job"]),
    status=st.sampled_from(["queued", "running"]),
    attempt=st.integers(0, 3),
    attempts_max=st.just(3),
    worker=st.none(),
    is_due=st.booleans(),
    cancel_asked=st.booleans(),
    waited_s=st.floats(0, 1e5),
    sent_s=st.none() | st.floats(0, 1e5),
    heartbeat_s=st.none() | st.floats(0, 1e5),
)


class TestPlanRound:
    @given(jobs=st.lists(open_job, max_size=30, unique_by=lambda job: job.job_id))
    def test_no_lane_is_ever_too_full_and_nobody_overtakes(self, jobs: list[OpenJob]) -> None:
        plan = plan_round(jobs, Pace())
        lanes = {name: lane for lane, name in NAMES.items()}
        for lane, places in LANES.items():
            own = [job for job in jobs if lanes.get(job.name, Lane.DESK) is lane]
            running = sum(job.status == "running" for job in own)
            waiting = [job for job in own if job.status == "queued" and job.is_due]
            assert [job for job in plan.next if job in own] == waiting[: max(0, places - running)]
        assert all(job.status == "running" for job in plan.abandoned)


class TestSending:
    def test_sends_the_next_of_each_lane_once(self) -> None:
        queue = Queue()
        firm = [ask(BuildFeatures()) for _ in range(3)]
        training = ask(TrainScreener())
        desk = [ask(SEND) for _ in range(3)]
        one, other = dispatcher(queue), dispatcher(queue)
        for _ in range(3):
            one.round()
            other.round()
        assert sorted(queue.sent) == sorted([firm[0], training, *desk[:2]])
        with transaction() as session:
            held = lease.take(session, job_id=firm[0], worker="w")
            assert held is not None
            lease.succeed(session, held, None)
        one.round()
        assert queue.sent[-1] == firm[1]

    def test_timetable_goes_before_the_others(self) -> None:
        queue = Queue()
        ask(BuildFeatures())
        with fixed_clock(datetime(2020, 4, 3, 6, 30, tzinfo=UTC)):
            dispatcher(queue).round()
        assert row(queue.sent[0]).due_on == date(2020, 4, 3)

    def test_lost_message_is_sent_again(self) -> None:
        queue, job_id = Queue(), ask(BuildFeatures())
        one = dispatcher(queue)
        one.round()
        one.round()
        assert queue.sent == [job_id]
        long_ago(job_id, "sent_at")
        one.round()
        assert queue.sent == [job_id, job_id]

    def test_pause_is_kept(self) -> None:
        queue, job_id = Queue(), ask(BuildFeatures())
        held = begin(job_id)
        with transaction() as session:
            lease.give_back(session, job_id=job_id, attempt=1, error="away", pause=timedelta(seconds=60))
        one = dispatcher(queue)
        one.round()
        assert queue.sent == []
        assert held.attempt == 1
        long_ago(job_id, "not_before_at")
        one.round()
        assert queue.sent == [job_id]

    def test_cancelled_job_is_not_sent(self) -> None:
        queue, job_id = Queue(), ask(BuildFeatures())
        with transaction() as session:
            queries.close_queued(session, job_id=job_id, status="cancelled", error="test")
        dispatcher(queue).round()
        assert queue.sent == []


class TestTakingAway:
    def test_silent_worker_loses_its_job_and_cannot_write_any_more(self) -> None:
        queue, job_id = Queue(), ask(BuildFeatures())
        held = begin(job_id, silent_s=100)
        dispatcher(queue).round()
        assert (row(job_id).status, row(job_id).error) == (
            "queued",
            "its worker elsewhere:1 has been silent for 100 s",
        )
        with transaction() as session:
            assert lease.renew(session, held) is None
            assert not lease.succeed(session, held, {"late": True})
            assert not lease.tell_progress(session, held, step="late", done=1, total=1)
            assert not lease.close(session, held, status="failed", error="late")
        again = begin(job_id)
        assert again.attempt == 2
        assert status_events(job_id) == ["queued", "running", "queued", "running"]

    def test_its_connections_and_locks_are_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        job_id = ask(BuildFeatures())
        begin(job_id, silent_s=100)
        monkeypatch.setenv("PGAPPNAME", lease.connections_of(job_id))
        code = (
            "import time\nfrom database.queries.runs import exclusive_run\nfrom datetime import date\n"
            "with exclusive_run('build-features', date(2017, 6, 30), 'features'):\n"
            "    print('held', flush=True)\n    time.sleep(60)\n"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            monkeypatch.delenv("PGAPPNAME")
            dispatcher(Queue()).round()
            with exclusive():
                pass
            holder.kill()

    def test_in_its_last_try_it_fails(self) -> None:
        job_id = ask(BuildFeatures())
        begin(job_id, silent_s=100)
        change(job_id, attempts_max=1)
        dispatcher(Queue()).round()
        assert row(job_id).status == "failed"
        assert "last of 1 tries" in (row(job_id).error or "")

    def test_one_that_was_asked_to_stop_is_cancelled(self) -> None:
        job_id = ask(BuildFeatures())
        begin(job_id, silent_s=100)
        change(job_id, cancel_asked_at=datetime(2020, 4, 2, tzinfo=UTC))
        dispatcher(Queue()).round()
        assert row(job_id).status == "cancelled"

    def test_living_worker_is_left_alone(self) -> None:
        job_id = ask(BuildFeatures())
        begin(job_id, silent_s=20)
        dispatcher(Queue()).round()
        assert row(job_id).status == "running"


class TestRecovery:
    def test_after_an_outage_the_living_speak_first(self) -> None:
        """Nobody could renew a lease while the database was away: one look is not enough to call a worker dead."""
        job_id = ask(BuildFeatures())
        begin(job_id, silent_s=100)
        one = dispatcher(Queue(), stale_s=1.0)
        one._sees_since = time.monotonic()
        one.round()
        assert row(job_id).status == "running"
        one._sees_since = time.monotonic() - 2.0
        one.round()
        assert row(job_id).status == "queued"


def exclusive() -> Any:
    return exclusive_run("build-features", date(2017, 6, 30), "features")


class TestDoingItself:
    def test_queue_that_is_down_does_not_keep_jobs(self, tmp_path: Path) -> None:
        queue, job_id = Queue(), ask(BuildFeatures())
        queue.is_down = True
        one = dispatcher(queue, tmp_path, queue_down_s=0.1)
        one.round()
        assert row(job_id).sent_at is None
        time.sleep(0.15)
        one.round()
        wait_for(lambda: (tmp_path / str(job_id)).exists(), 20)
        one.end_children()

    def test_queue_that_comes_back_is_used_again(self, tmp_path: Path) -> None:
        queue, job_id = Queue(), ask(BuildFeatures())
        queue.is_down = True
        one = dispatcher(queue, tmp_path)
        one.round()
        queue.is_down = False
        one.round()
        one.round()
        assert queue.sent == [job_id]

    def test_what_no_worker_begins_is_done_here(self, tmp_path: Path) -> None:
        queue, job_id = Queue(), ask(BuildFeatures())
        one = dispatcher(queue, tmp_path, takeover_s=0.1)
        one.round()
        assert queue.sent == [job_id]
        time.sleep(0.15)
        one.round()
        assert not any(tmp_path.iterdir()), "it was sent a moment ago"
        long_ago(job_id, "sent_at")
        one.round()
        dispatcher(queue, tmp_path / "other", takeover_s=0.0).round()
        wait_for(lambda: (tmp_path / str(job_id)).exists(), 20)
        one.end_children()


class TestRun:
    @pytest.fixture
    def running(self) -> Iterator[Callable[[Queue], None]]:
        stopping, threads = threading.Event(), []

        def start(queue: Queue) -> None:
            thread = threading.Thread(target=dispatcher(queue, round_s=600.0).run, args=(stopping,))
            thread.start()
            threads.append(thread)

        yield start
        stopping.set()
        ask(RefreshData())  # wakes it
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()

    def test_hears_at_once_and_two_send_once(self, running: Callable[[Queue], None]) -> None:
        queue = Queue()
        with transaction() as session:
            # Threads read the real clock.
            session.execute(text("update timetable_entries set known_since_at = '2100-01-01'"))
        for _ in range(2):
            running(queue)
        time.sleep(0.3)
        job_id = ask(BuildFeatures())
        wait_for(lambda: queue.sent, 20)  # its round comes after ten minutes only
        time.sleep(0.3)
        assert queue.sent == [job_id]
        with transaction() as session:
            age_s = queries.heartbeat_age_s(session, name="dispatcher")
        assert age_s is not None
        assert age_s < 5


class TestRaiseDue:
    def raised(self, *moments: datetime) -> list[tuple[str, date]]:
        found = []
        for moment in moments:
            with fixed_clock(moment), transaction() as session:
                for job_id in raise_due(session):
                    job = session.get_one(QueuedJob, job_id)
                    assert job.due_on is not None
                    found.append((job.name, job.due_on))
        return found

    def test_nothing_is_owed_from_before_it_was_known(self) -> None:
        assert self.raised(datetime(2020, 4, 2, 13, tzinfo=UTC)) == []

    def test_night_is_raised_once_on_time_with_its_session(self) -> None:
        early, late = datetime(2020, 4, 2, 20, 29, tzinfo=UTC), datetime(2020, 4, 2, 20, 30, tzinfo=UTC)
        assert self.raised(early, late, late, late + timedelta(hours=5)) == [("nightly", date(2020, 4, 2))]
        with transaction() as session:
            assert queries.newest_by_name(session, names=["nightly"])["nightly"].payload == {"as_of": "2020-04-02"}

    def test_after_a_long_outage_only_the_newest_missed_run_with_a_word_on_how_late(self) -> None:
        found = self.raised(datetime(2020, 4, 21, 1, 15, tzinfo=UTC))
        assert ("nightly", date(2020, 4, 20)) in found
        assert ("train-screener", date(2020, 4, 19)) in found
        assert len(found) == len({name for name, _ in found})
        with transaction() as session:
            job = queries.newest_by_name(session, names=["nightly"])["nightly"]
            (line,) = queries.last_events(session, job_id=job.job_id, kind="log", limit=5)
        assert line.body["event"].startswith("raised 4 h 45 min late")

    def test_holiday_raises_no_night(self) -> None:
        good_friday = datetime(2020, 4, 10, 23, 59, tzinfo=UTC)
        nights = [day for name, day in self.raised(good_friday) if name == "nightly"]
        assert nights == [date(2020, 4, 9)]

    def test_of_many_schedulers_at_once_one_raises(self) -> None:
        moment, counts = datetime(2020, 4, 2, 20, 31, tzinfo=UTC), []
        barrier = threading.Barrier(6)

        def one() -> None:
            with fixed_clock(moment):
                barrier.wait()
                with transaction() as session:
                    counts.append(len(raise_due(session)))

        threads = [threading.Thread(target=one) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(counts) == 1


class TestChores:
    def test_each_runs_and_forgets_what_is_old(self) -> None:
        job_id = ask(BuildFeatures())
        with transaction() as session:
            held = lease.take(session, job_id=job_id, worker="w")
            assert held is not None
            lease.tell_progress(session, held, step="rows", done=1, total=1)
            lease.succeed(session, held, None)
            session.execute(text("update jobs set finished_at = finished_at - interval '40 days'"))
            user = User(email="ada@firm.example", name="Ada", role="admin")
            session.add(user)
            session.flush()
            take_key(session, user_id=user.user_id, key="old", fingerprint="x")
            session.execute(text("update idempotency_keys set created_at = '2020-03-01'"))
            record(session, actor="test", action="add", subject="user", subject_id=user.user_id)
        dispatcher(Queue()).round()
        assert CHORES
        with transaction() as session:
            kinds = session.execute(text("select kind from job_events where job_id = :id"), {"id": job_id}).scalars()
            assert set(kinds) == {"status"}
            assert session.execute(text("select count(*) from idempotency_keys")).scalar() == 0
            assert session.execute(text("select count(*) from audit_seals")).scalar() == 1
            assert session.get_one(JobEvent, (job_id, 1)).kind == "status"
