"""One job, from taken to finished, in a process of its own: `python -m mlops.worker JOB_ID`, or a task of Celery's.

The row says how it stands, whatever becomes of this process. A thread renews the lease while the process lives and
the job says something from time to time; the same thread hears that the job should stop.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from types import FrameType
from typing import Any

from core.config import get_settings, name_connections
from core.errors import Cancelled, InputError, Refused
from core.jobs import Ticket
from core.log import bind_log, configure_logs, get_logger
from database.faults import is_passing
from database.session import dispose, transaction
from jobs import lease
from jobs.lease import Held
from mlops.joblog import LogLines, listen_to_log
from mlops.pace import Pace

ENDED_BY_FORCE = 75
_log = get_logger("mlops")


class Stopped(BaseException):
    """The process was told to end: the job goes back, to be begun again."""


class _Stop:
    """Whether this process was told to end. Only the job's own work is broken off by it, not the writing behind it."""

    def __init__(self) -> None:
        self.is_asked = False
        self._is_at_work = False

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Here it may be broken off."""
        if self.is_asked:
            raise Stopped
        self._is_at_work = True
        try:
            yield
        finally:
            self._is_at_work = False

    def __call__(self, _signum: int, _frame: FrameType | None) -> None:
        """What SIGTERM does."""
        self.is_asked = True
        if self._is_at_work:
            raise Stopped


_stop = _Stop()


def work_on(job_id: int, *, pace: Pace | None = None) -> str:
    """Do the job if it is there to be done; what came of it in a word. Never raises for what the job does."""
    pace = pace or Pace()
    with transaction() as session:
        held = lease.take(session, job_id=job_id, worker=worker_name())
    if held is None:
        return "nothing to do"
    bind_log(job_id=job_id, job=held.kind.name)
    _log.info("begun", attempt=held.attempt)
    watch = Watch(held, pace)
    with listen_to_log(LogLines(held)), watch:
        record = _perform(held, watch, pace)
    outcome = _insist(record, pace)
    _log.info("ended", outcome=outcome)
    return outcome


def worker_name() -> str:
    """This process."""
    return f"{socket.gethostname()}:{os.getpid()}"[:100]


def _perform(held: Held, watch: "Watch", pace: Pace) -> Callable[[], str]:
    """Do the work; what is to be written about it afterwards."""
    try:
        job = held.kind.model_validate(held.payload)
        work = import_module(f"mlops.jobs.{held.kind.name.replace('-', '_')}")
        with _stop.at_work():
            result = work.perform(job, Ticket(held.job_id, held.origin_id, held.actor, watch.progress))
        if not isinstance(result, dict | None):
            raise TypeError(f"{held.kind.name} answers {type(result).__name__}: a job's result is a dict or None")
    except Cancelled as reason:
        return _closing(held, "cancelled", str(reason))
    except (Refused, InputError) as reason:
        return _closing(held, "refused", str(reason))
    except Stopped:
        return _giving_back_unfinished(held)
    except Exception as error:  # noqa: BLE001 whatever the job raises is its outcome
        # Broken off in the middle of a library, what comes out may be that library's complaint about it.
        return _giving_back_unfinished(held) if _stop.is_asked else _after(error, held, pace)
    return _succeeding(held, result)


def _after(error: Exception, held: Held, pace: Pace) -> Callable[[], str]:
    """What a fault leads to: another try where it may pass, else the end."""
    text = f"{type(error).__name__}: {error}"
    _log.error("fault", exc_info=error)
    if is_passing(error) and held.attempt < held.attempts_max:
        return _giving_back(held, text, pace.retry_pause_s * 3 ** (held.attempt - 1))
    return _closing(held, "failed", text)


def _succeeding(held: Held, result: dict[str, Any] | None) -> Callable[[], str]:
    def record() -> str:
        with transaction() as session:
            return "succeeded" if lease.succeed(session, held, result) else "taken away"

    return record


def _closing(held: Held, status: str, error: str) -> Callable[[], str]:
    def record() -> str:
        with transaction() as session:
            return status if lease.close(session, held, status=status, error=error) else "taken away"

    return record


def _giving_back_unfinished(held: Held) -> Callable[[], str]:
    dispose()  # a connection may have been left in the middle of a statement
    return _giving_back(held, "its worker was told to stop", 0.0, counts=False)


def _giving_back(held: Held, error: str, pause_s: float, *, counts: bool = True) -> Callable[[], str]:
    def record() -> str:
        with transaction() as session:
            back = lease.give_back(
                session,
                job_id=held.job_id,
                attempt=held.attempt,
                error=error,
                pause=timedelta(seconds=pause_s),
                counts=counts,
            )
        return "given back" if back else "taken away"

    return record


def _insist(record: Callable[[], str], pace: Pace) -> str:
    """Write down how the job came out, also where the database is away for a moment.

    Where it stays away the row goes stale, the job is begun again, and finds its work done.
    """
    deadline, pause_s = time.monotonic() + pace.recording_s, 0.2
    while True:
        try:
            return record()
        except Exception as error:  # noqa: BLE001 asked about in the next line
            if not is_passing(error) or time.monotonic() > deadline:
                _log.error("the outcome could not be written", error=str(error))
                return "not recorded"
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 5.0)


class Watch:
    """Keeps a job's lease and carries its progress to the row, until the job is over."""

    def __init__(self, held: Held, pace: Pace) -> None:
        self._held = held
        self._pace = pace
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._lock = threading.Lock()
        self._told: dict[str, float] = {}
        self._spoke = time.monotonic()
        self._stop_since: float | None = None
        self._reason = ""

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def progress(self, step: str, done: int, total: int) -> None:
        """What the job calls. Raises Cancelled where somebody asked for its end, or another has it now."""
        self._spoke = time.monotonic()
        if self._stop_since is not None:
            raise Cancelled(self._reason)
        with self._lock:
            last = self._told.get(step)
            if last is not None and done < total and self._spoke - last < self._pace.progress_s:
                return
            self._told[step] = self._spoke
        try:
            with transaction() as session:
                held = lease.tell_progress(session, self._held, step=step, done=done, total=total)
        except Exception as error:
            if not is_passing(error):
                raise
            _log.warning("progress is not told", error=str(error))
            return
        if not held:
            self._stop("another worker has it now")
            raise Cancelled(self._reason)

    def _keep(self) -> None:
        while not self._over.wait(self._pace.heartbeat_s):
            quiet_s = time.monotonic() - self._spoke
            if quiet_s > self._held.kind.quiet_s_max:
                continue  # stuck: the lease runs out, and the job goes to another
            self._renew()
            if self._stop_since is not None and time.monotonic() - self._stop_since > self._pace.cancel_grace_s:
                self._end_by_force()

    def _renew(self) -> None:
        try:
            with transaction() as session:
                found = lease.renew(session, self._held)
        except Exception as error:  # noqa: BLE001 the next beat tries again
            _log.warning("no heartbeat", error=str(error))
            return
        if found is None:
            self._stop("another worker has it now")
        elif found.cancel_asked and self._held.kind.is_cancellable:
            self._stop("cancelled on request")

    def _stop(self, reason: str) -> None:
        if self._stop_since is None:
            self._reason = reason
            self._stop_since = time.monotonic()

    def _end_by_force(self) -> None:
        """For work that does not come to its next progress; what it had not finished is begun anew next time."""
        if not self._held.kind.may_be_killed or self._over.is_set():
            return
        _log.warning("ended by force", reason=self._reason)
        _insist(_closing(self._held, "cancelled", f"{self._reason}; ended by force"), self._pace)
        os._exit(ENDED_BY_FORCE)


def main(words: list[str], *, pace: Pace | None = None) -> int:
    """Do one job in this process; told to stop, it gives the job back."""
    settings = get_settings()
    configure_logs(settings.model_copy(update={"log_level": "INFO"}))
    do(int(words[0]), pace=pace)
    return 0


def do(job_id: int, *, pace: Pace | None = None) -> str:
    """Do the job in this process, which does nothing else; told to stop, it gives the job back."""
    name_connections(lease.connections_of(job_id))
    signal.signal(signal.SIGTERM, _stop)
    return work_on(job_id, pace=pace)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
