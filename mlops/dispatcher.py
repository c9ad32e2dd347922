"""The dispatcher: `python -m mlops.dispatcher`. Sees that every job of the table is done, and raises what is due.

It gives jobs to the queue, lane by lane; takes them from workers that have died; and where neither the queue nor a
worker does anything it does them itself, so the database alone is enough. Two at once are harmless: one round at a
time decides, and a claim decides who works.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from core.config import get_settings
from core.errors import Unreachable
from core.jobs import KINDS, Lane
from core.log import configure_logs, get_logger
from database.faults import is_passing
from database.listening import Listener
from database.queries.jobs import QUEUE_CHANNEL, OpenJob
from database.session import database_url, transaction
from jobs.dispatch import DISPATCHER, begin_round, note_sent, note_unsent
from jobs.lease import take_away
from mlops.celery_app import send
from mlops.chores import CHORES
from mlops.pace import Pace
from mlops.queue import queue_answers
from mlops.worker import worker_name
from mlops.workers import LANES, ready_file

WORKER_COMMAND = (sys.executable, "-m", "mlops.worker")
_log = get_logger("mlops")


@dataclass(frozen=True)
class Plan:
    """What a look at the open jobs leads to: who is next in its lane, and who was left behind by a dead worker."""

    next: tuple[OpenJob, ...]
    abandoned: tuple[OpenJob, ...]


def plan_round(jobs: Sequence[OpenJob], pace: Pace) -> Plan:
    """A lane's places are taken by what runs in it, then by those whose turn it is; the others wait, unsent."""
    places = dict(LANES)
    abandoned = [job for job in jobs if job.status == "running" and (job.heartbeat_s or 0.0) > pace.stale_s]
    for job in jobs:
        if job.status == "running":
            places[_lane(job)] -= 1
    following = []
    for job in jobs:
        if job.status == "queued" and job.is_due and places[_lane(job)] > 0:
            places[_lane(job)] -= 1
            following.append(job)
    return Plan(tuple(following), tuple(abandoned))


def _lane(job: OpenJob) -> Lane:
    kind = KINDS.get(job.name)
    return Lane.DESK if kind is None else kind.lane


class Dispatcher:
    """What one dispatcher remembers between its rounds; everything that matters stands in the rows."""

    def __init__(
        self,
        *,
        pace: Pace | None = None,
        send: Callable[[int], None] = send,
        queue_answers: Callable[[], bool] = queue_answers,
        worker_command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        self._pace = pace or Pace()
        self._send = send
        self._queue_answers = queue_answers
        self._worker_command = worker_command
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._next_since: dict[int, float] = {}
        self._queue_down_since: float | None = None
        self._chores_at: dict[str, float] = {}
        self._sees_since = float("-inf")

    def run(self, stopping: threading.Event) -> None:
        """Round after round until told to stop: at once when somebody asks for a job, else every few seconds."""
        with ExitStack() as stack:
            ear: Listener | None = None
            while not stopping.is_set():
                try:
                    if ear is None:
                        ear = stack.enter_context(Listener(database_url(), [QUEUE_CHANNEL]))
                        self._sees_since = time.monotonic()
                    self.round()
                    ear.hear(timeout_s=self._pace.round_s)
                except Exception as error:
                    if not is_passing(error):
                        raise
                    _log.warning("the database is away", error=str(error))
                    stack.pop_all().close()
                    ear = None
                    stopping.wait(self._pace.round_s)
        self.end_children()

    def round(self) -> None:
        """One look, and what follows from it."""
        with transaction() as session:
            jobs = begin_round(session, worker=worker_name())
            if jobs is None:
                return
            plan = plan_round(jobs, self._pace)
            for job in plan.abandoned if self._has_seen_enough() else ():
                _log.warning("job taken away", job_id=job.job_id, job=job.name, silent_s=job.heartbeat_s)
                take_away(session, job)
            self._remember(plan.next)
            own = [job for job in plan.next if self._is_for_us(job)]
            sent = [job for job in plan.next if job not in own and self._is_to_send(job)]
            for job in (*own, *sent):
                note_sent(session, job_id=job.job_id)
        for job in own:
            self._do_ourselves(job.job_id)
        self._send_all([job.job_id for job in sent])
        self._do_chores()

    def _has_seen_enough(self) -> bool:
        """While the database was away nobody could say that he lives: who still does says so first."""
        return time.monotonic() - self._sees_since > self._pace.stale_s

    def _remember(self, following: Sequence[OpenJob]) -> None:
        at = time.monotonic()
        self._next_since = {job.job_id: self._next_since.get(job.job_id, at) for job in following}

    def _is_for_us(self, job: OpenJob) -> bool:
        """Whether the queue is down, or nobody has begun the job though it was its turn for long."""
        at = time.monotonic()
        down = self._queue_down_since is not None and at - self._queue_down_since > self._pace.queue_down_s
        return self._is_unattended(job) and (down or at - self._next_since[job.job_id] > self._pace.takeover_s)

    def _is_to_send(self, job: OpenJob) -> bool:
        return self._is_unattended(job) and self._queue_down_since is None

    def _is_unattended(self, job: OpenJob) -> bool:
        """Whether nobody, here or elsewhere, has just sent it or set a process on it."""
        return job.sent_s is None or job.sent_s > self._pace.resend_s

    def _send_all(self, job_ids: Sequence[int]) -> None:
        if self._queue_down_since is not None and self._queue_answers():
            self._queue_down_since = None
            _log.info("the queue answers again")
        for job_id in job_ids:
            try:
                self._send(job_id)
            except Unreachable as error:
                if self._queue_down_since is None:
                    self._queue_down_since = time.monotonic()
                    _log.warning("the queue does not answer", error=str(error))
                with transaction() as session:
                    note_unsent(session, job_id=job_id)

    def _do_ourselves(self, job_id: int) -> None:
        self._children = {number: child for number, child in self._children.items() if child.poll() is None}
        if job_id in self._children or len(self._children) >= sum(LANES.values()):
            return
        _log.warning("no worker begins the job; doing it here", job_id=job_id)
        self._children[job_id] = subprocess.Popen(  # noqa: S603 the command is ours
            [*self._worker_command, str(job_id)], stdin=subprocess.DEVNULL, start_new_session=True
        )

    def end_children(self) -> None:
        """Let our own jobs come to their end; those that do not in time give theirs back."""
        deadline = time.monotonic() + self._pace.stopping_s
        for child in self._children.values():
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, deadline - time.monotonic()))
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            try:
                child.wait(self._pace.stopping_s)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _do_chores(self) -> None:
        """What has to be done from time to time; one that fails is tried again at its next time."""
        at = time.monotonic()
        for name, chore in CHORES.items():
            if at - self._chores_at.get(name, float("-inf")) < chore.every_s:
                continue
            self._chores_at[name] = at
            try:
                with transaction() as session:
                    chore.work(session)
            except Exception as error:  # noqa: BLE001 jobs must not wait for a chore
                _log.error("chore", chore=name, exc_info=error)


def main() -> int:
    """Dispatch until SIGTERM or SIGINT."""
    configure_logs(get_settings().model_copy(update={"log_level": "INFO"}))
    stopping = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: stopping.set())
    ready_file(DISPATCHER).parent.mkdir(parents=True, exist_ok=True)
    ready_file(DISPATCHER).touch()
    Dispatcher().run(stopping)
    return 0


if __name__ == "__main__":
    sys.exit(main())
