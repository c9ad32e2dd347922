"""The tracking server: starts on an empty database, on loopback only, and is joined rather than started twice."""

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

import database.session
from core.config import child_environment, get_settings
from mlops.tracking import (
    start_tracking,
    stop_tracking,
    tracking_answers,
    tracking_process,
    tracking_uri,
    wait_until_ready,
)

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.enable_socket]


@pytest.fixture
def own_server(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Settings that make MLflow's database on the test server; the database is dropped afterwards."""
    monkeypatch.setenv("DATABASE_URL", server)
    monkeypatch.setenv("ACIS_VAR_DIR", str(tmp_path))
    monkeypatch.delenv("ACIS_MLFLOW_TRACKING_URI", raising=False)
    name = f"mlflow_{tmp_path.name}_{time.monotonic_ns()}"
    monkeypatch.setattr("mlops.tracking.DATABASE", name)
    get_settings.cache_clear()
    database.session.dispose()
    yield name
    stop_tracking()
    database.session.dispose()
    get_settings.cache_clear()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'drop database if exists "{name}" with (force)')


EXPERIMENT = ("/api/2.0/mlflow/experiments/create", {"name": "planted"})
WEBHOOK = (
    "/api/2.0/mlflow/webhooks",
    {
        "name": "planted",
        "url": "https://93.184.215.14/steal",
        "events": [{"entity": "REGISTERED_MODEL", "action": "CREATED"}],
    },
)


def asked(uri: str, request: tuple[str, dict[str, Any]], *, host: str | None = None, origin: str | None = None) -> int:
    """Status of the server's answer to one request."""
    path, body = request
    headers = {"Content-Type": "application/json"}
    headers |= ({"Host": host} if host else {}) | ({"Origin": origin} if origin else {})
    with closing(http.client.HTTPConnection(uri.removeprefix("http://"), timeout=30)) as connection:
        connection.request("POST", path, json.dumps(body), headers)
        return connection.getresponse().status


def listens_elsewhere(uri: str) -> bool:
    """Whether the server's port answers on another address of this machine than 127.0.0.1."""
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.2", int(uri.rpartition(":")[2]))) == 0


def test_life_of_the_server(own_server: str, server: str, tmp_path: Path) -> None:
    assert tracking_uri() is None
    begun = time.monotonic()
    assert start_tracking()
    assert time.monotonic() - begun < 5.0, "it must return at once: the demo starts it early"
    assert not start_tracking(), "a second start joins"

    told: list[int] = []
    uri = wait_until_ready(lambda step, done, total: told.append(done))
    assert uri == tracking_uri()
    assert uri.startswith("http://127.0.0.1:")
    assert tracking_answers()
    assert told[-1] == 90
    assert json.loads((tmp_path / "mlflow" / "address.json").read_text())["host"] == "127.0.0.1"
    with psycopg.connect(server) as connection:
        found = connection.execute("select 1 from pg_database where datname = %s", (own_server,)).fetchone()
    assert found, "its tables live in a database of their own"

    assert asked(uri, WEBHOOK) == 400, "whoever reaches it could make it call any address"
    assert asked(uri, EXPERIMENT, host="evil.example") == 403, "a page elsewhere could rebind its name to us"
    assert asked(uri, EXPERIMENT, origin="https://evil.example") == 403, "a page elsewhere could write"
    assert asked(uri, EXPERIMENT) == 200
    assert not listens_elsewhere(uri)

    command_line = Path(f"/proc/{tracking_process().process_id()}/cmdline").read_text()
    assert "postgresql" not in command_line, "a password in the URL would be there for all to read"

    stop_tracking()
    assert tracking_uri() is None
    assert not tracking_answers()


def test_server_of_the_settings_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ACIS_MLFLOW_TRACKING_URI", "http://mlflow.example:5000")
    monkeypatch.setenv("ACIS_VAR_DIR", str(tmp_path))
    get_settings.cache_clear()
    assert not start_tracking()
    assert tracking_uri() == wait_until_ready() == "http://mlflow.example:5000"
    get_settings.cache_clear()


def test_mlflow_reports_to_nobody() -> None:
    code = "import mlops, mlflow.telemetry; assert mlflow.telemetry.get_telemetry_client() is None"
    # As an operator's process: MLflow is silent by itself where it finds a test or a build server.
    operator = {name: value for name, value in child_environment().items() if name in {"PATH", "HOME"}}
    subprocess.run([sys.executable, "-c", code], env=operator, check=True)
