"""Keeps the learner processes: starts them, hands out tasks, listens, ends them."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import IO, Any

from core.config import REPOSITORY, child_environment
from core.errors import AcisError, InputError

_GRACE_S = 10
_LOG_TAIL_CHARACTERS = 2000
# One thread a process: two of torch's spin against each other, and there is a process for each core.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


class Learners:
    """Learner processes, each busy with one task at a time."""

    def __init__(self, count: int, log: IO[str]) -> None:
        self._log = log
        self._idle: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        self.processes = [self._start() for _ in range(count)]
        self._threads = ThreadPoolExecutor(count)
        for process in self.processes:
            self._idle.put(process)

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "rl_trading.learner"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=REPOSITORY,
            env=child_environment(**_ENVIRONMENT),
        )

    def submit(self, task: Mapping[str, Any], heard: Callable[[int], None]) -> "Future[None]":
        """Queue a task (see `rl_trading.learner.work`); `heard` is told its steps as they are taken.

        The result raises InputError for what the learner refuses, AcisError where its process ends.
        """
        return self._threads.submit(self._work, task, heard)

    def _work(self, task: Mapping[str, Any], heard: Callable[[int], None]) -> None:
        process = self._idle.get()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            answer = json.loads(line)
            if "written" in answer or "refused" in answer:
                self._idle.put(process)
                if "refused" in answer:
                    raise InputError(answer["refused"])
                return
            heard(answer["steps"])
        raise AcisError(f"a learner process ended in the middle of its work:\n{self._last_words()}")

    def _last_words(self) -> str:
        self._log.flush()
        self._log.seek(0)
        return self._log.read()[-_LOG_TAIL_CHARACTERS:]

    def stop(self) -> None:
        """End every process, whatever it does, and forget what is still queued."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        self._threads.shutdown(wait=True)


@contextmanager
def learners(count: int) -> Iterator[Learners]:
    """`count` processes for the length of the block."""
    with tempfile.TemporaryFile("w+") as log:
        pool = Learners(count, log)
        try:
            yield pool
        finally:
            pool.stop()
