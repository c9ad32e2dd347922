"""A server process that outlives a hiccup but not its owner: own process group, log file, lock that tells it lives.

The child inherits a locked file. While it lives the lock is held, so the process id inside is certainly its own, even
after the process that started it was killed; when it dies, however it dies, the kernel frees the lock.
"""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

from core.config import child_environment
from core.errors import Unreachable

_POLL_S = 0.05
_ENDING_S = 2.0  # a dying process lets go of its lock a moment before its exit status is there
_LOOK_S = 0.3  # somebody who only looks holds the lock for less
_LOG_TAIL_CHARACTERS = 2000


class Process:
    """One server by its `name`: started or joined, watched, stopped with all its children. Made by `process`."""

    def __init__(self, name: str, *, run_dir: Path, log_dir: Path) -> None:
        self.name = name
        self._lock_path = run_dir / f"{name}.pid"
        self.log_path = log_dir / f"{name}.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> bool:
        """Start `command` in a process group of its own; False when the server already runs, which is as good."""
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock_path.open("a+") as lock, self.log_path.open("ab") as log:
            if not _lock(lock, patience_s=_LOOK_S):
                return False
            self._child = subprocess.Popen(  # noqa: S603 the commands are ours
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=child_environment(**(environment or {})),
                start_new_session=True,
                pass_fds=[lock.fileno()],
            )
            lock.truncate(0)
            lock.write(str(self._child.pid))
        return True

    def is_alive(self) -> bool:
        """Whether the process runs, whoever started it."""
        self._collect()
        if not self._lock_path.exists():
            return False
        with self._lock_path.open("r+") as lock:
            if not _lock(lock):
                return True
        self._collect(patience_s=_ENDING_S)
        return False

    def process_id(self) -> int | None:
        """Id of the running process, which is the id of its group too; None when it does not run."""
        if not self.is_alive():
            return None
        return int(self._lock_path.read_text() or 0) or None

    def stop(self, *, grace_s: float = 10.0) -> None:
        """End the process: politely, and after `grace_s` seconds by force; then whatever is left of its group."""
        for signum, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
            leader = self.process_id()
            if leader is None:
                return
            # Only the leader is asked: it knows how its children want to end.
            with suppress(ProcessLookupError):
                os.kill(leader, signum)
            deadline = time.monotonic() + patience_s
            while self.is_alive() and time.monotonic() < deadline:
                time.sleep(_POLL_S)
            if not self.is_alive():
                _kill_group(leader)
                return
        raise Unreachable(f"{self.name} (process {self.process_id()}) does not end, even by force")

    def _collect(self, *, patience_s: float = 0.0) -> None:
        """Take our dead child away, and with it whatever it left behind in its group."""
        if self._child is None or self._child.returncode is not None:
            return
        deadline = time.monotonic() + patience_s
        # The id stays taken until the exit status is collected, so the group is certainly the child's own.
        while os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() >= deadline:
                return
            time.sleep(_POLL_S)
        _kill_group(self._child.pid)
        self._child.wait()

    def log_tail(self) -> str:
        """The last lines that the process wrote."""
        return self.log_path.read_text(errors="replace")[-_LOG_TAIL_CHARACTERS:] if self.log_path.exists() else ""


@cache
def process(name: str, *, run_dir: Path, log_dir: Path) -> Process:
    """The one object of this server in this Python process: it knows whether the child is ours to collect."""
    return Process(name, run_dir=run_dir, log_dir=log_dir)


def _lock(file: IO[str], *, patience_s: float = 0.0) -> bool:
    """Take the lock if it is free. It belongs to the open file, so a child that inherits the file holds it on."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        else:
            return True


def _kill_group(group: int) -> None:
    # Most often there is nobody left.
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
