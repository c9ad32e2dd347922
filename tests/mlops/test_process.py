"""Server processes: joined when they run, known to live or not whoever started them, stopped with their children."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops.process import Process

pytestmark = pytest.mark.servers

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-u",
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
]
# A parent that leaves a child in its group and writes the child's id.
WITH_CHILD = [
    sys.executable,
    "-u",
    "-c",
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "print(child.pid, flush=True); time.sleep(60)",
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    server = Process("toy", run_dir=tmp_path / "run", log_dir=tmp_path / "log")
    yield server
    server.stop(grace_s=0.1)


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def exists(process_id: int) -> bool:
    """Whether a process runs; one that nobody has collected yet does not."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


class TestStart:
    def test_runs_in_a_group_of_its_own(self, server: Process) -> None:
        assert server.start(SLEEP)
        process_id = server.process_id()
        assert process_id is not None
        assert os.getpgid(process_id) == process_id != os.getpgid(0)

    def test_second_start_joins(self, server: Process, tmp_path: Path) -> None:
        server.start(SLEEP)
        other = Process("toy", run_dir=tmp_path / "run", log_dir=tmp_path / "log")
        assert not other.start(SLEEP)
        assert other.process_id() == server.process_id()

    def test_log_and_environment_reach_the_child(self, server: Process) -> None:
        server.start([sys.executable, "-c", "import os; print(os.environ['WORD'])"], environment={"WORD": "heard"})
        wait_for(lambda: not server.is_alive())
        assert server.log_tail() == "heard\n"


class TestIsAlive:
    def test_no_before_the_first_start(self, server: Process) -> None:
        assert not server.is_alive()
        assert server.process_id() is None

    def test_no_after_a_kill(self, server: Process) -> None:
        server.start(SLEEP)
        os.kill(server.process_id() or 0, signal.SIGKILL)
        wait_for(lambda: not server.is_alive())
        assert server.start(SLEEP), "a dead server can be started again"

    def test_known_to_another_process_after_the_owner_was_killed(self, tmp_path: Path) -> None:
        code = (
            "import sys, os, signal; from pathlib import Path; from mlops.process import Process\n"
            f"server = Process('toy', run_dir=Path({str(tmp_path)!r}), log_dir=Path({str(tmp_path)!r}))\n"
            f"server.start({SLEEP!r}); os.kill(os.getpid(), signal.SIGKILL)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
        orphan = Process("toy", run_dir=tmp_path, log_dir=tmp_path)
        process_id = orphan.process_id()
        assert process_id is not None
        orphan.stop()
        assert not exists(process_id)


class TestStop:
    def test_asks_politely_first(self, server: Process) -> None:
        server.start(SLEEP)
        begun = time.monotonic()
        server.stop(grace_s=30.0)
        assert not server.is_alive()
        assert time.monotonic() - begun < 10.0

    def test_by_force_where_it_does_not_listen(self, server: Process) -> None:
        server.start(STUBBORN)
        wait_for(lambda: server.log_tail() == "deaf\n")
        server.stop(grace_s=0.2)
        assert not server.is_alive()

    def test_takes_its_children_along(self, server: Process) -> None:
        server.start(WITH_CHILD)
        wait_for(server.log_tail)
        child = int(server.log_tail())
        server.stop()
        wait_for(lambda: not exists(child))

    def test_children_of_a_crashed_server_go_too(self, server: Process) -> None:
        server.start(WITH_CHILD)
        wait_for(server.log_tail)
        child = int(server.log_tail())
        os.kill(server.process_id() or 0, signal.SIGKILL)
        wait_for(lambda: not server.is_alive())
        wait_for(lambda: not exists(child))

    def test_of_a_stopped_server_is_nothing(self, server: Process) -> None:
        server.stop()
