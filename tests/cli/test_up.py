"""`acis up`: everything comes up, a killed server comes back, and SIGTERM leaves no process behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.config import child_environment
from tests.mlops.test_process import wait_for

pytestmark = [pytest.mark.servers, pytest.mark.slow]

UP = [sys.executable, "-c", "from cli.main import run; run()", "up"]


def processes_of(var_dir: Path) -> dict[int, str]:
    """Command lines of the running processes that mention or live in this folder, by process id."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            environment = (entry / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue  # it has ended meanwhile
        if line and (str(var_dir) in line or f"ACIS_VAR_DIR={var_dir}\0" in environment):
            found[int(entry.name)] = line
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment_of(process_id: int) -> str:
    return Path(f"/proc/{process_id}/environ").read_bytes().decode(errors="replace")


@pytest.fixture
def up(tmp_path: Path, socket_enabled: None) -> Iterator[tuple[subprocess.Popen[bytes], Path, Path]]:
    """(process, var folder, output) of an `acis up` of our own. MLflow is named, so that no minute goes to it."""
    environment = child_environment(
        ACIS_VAR_DIR=str(tmp_path),
        ACIS_ENVIRONMENT="dev",
        ACIS_MLFLOW_TRACKING_URI="http://127.0.0.1:9",
        ACIS_API_PORT=str(free_port()),
    )
    for name in ("DATABASE_URL", "REDIS_URL"):
        environment.pop(name, None)
    output = tmp_path / "up.out"
    with output.open("wb") as file:
        process = subprocess.Popen(UP, env=environment, stdout=file, stderr=subprocess.STDOUT)
    yield process, tmp_path, output
    process.kill()
    process.wait()
    for process_id in processes_of(tmp_path):
        os.kill(process_id, signal.SIGKILL)


def test_comes_up_heals_and_leaves_nothing(up: tuple[subprocess.Popen[bytes], Path, Path]) -> None:
    process, var_dir, output = up
    wait_for(lambda: "Ctrl-C stops everything" in output.read_text() or process.poll() is not None, 120)
    assert process.poll() is None, output.read_text()
    assert len(re.findall(r"\bready\b", output.read_text())) >= 5
    running = " ".join(processes_of(var_dir).values())
    assert all(word in running for word in ("postgres", "redis-server", "worker", "dispatcher"))

    address = re.findall(r"http://127\.0\.0\.1:\d{4,5}", output.read_text())[-1]
    with urllib.request.urlopen(f"{address}/health/ready") as answer:
        assert json.load(answer)["status"] == "ready"
    # Nothing in the API's processes can see past its role.
    serving = [number for number, line in processes_of(var_dir).items() if "api serve" in line or "spawn_main" in line]
    assert len(serving) >= 2
    for process_id in serving:
        assert "DATABASE_URL=postgresql://acis_api@" in environment_of(process_id)

    second = subprocess.run(UP, env=child_environment(ACIS_VAR_DIR=str(var_dir)), capture_output=True, text=True)
    assert second.returncode == 2
    assert "`acis up` runs already" in second.stderr

    redis = (var_dir / "redis" / "redis.pid").read_text()
    os.kill(int(redis), signal.SIGKILL)
    wait_for(lambda: "starting redis again" in output.read_text(), 20)
    wait_for(lambda: (var_dir / "redis" / "redis.pid").read_text() not in {"", redis}, 20)
    assert process.poll() is None

    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0, output.read_text()
    assert re.findall(r"stopping (\w+)", output.read_text()) == [
        *("dispatcher", "worker", "api", "mlflow", "redis", "postgres")
    ]
    wait_for(lambda: not processes_of(var_dir), 20)
