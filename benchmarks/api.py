"""The API under load: 200 clients, 20 advisors, a year of trades; mixed reads by 100 connections on the same machine.

The load comes from wrk (Debian: apt-get install wrk), as the twenty advisors in turns, each asking for what is theirs.
Peers in the same run, on the same server with as many processes: a bare FastAPI application that answers a constant,
and one that asks the database for one. The rate limit is raised: one advisor stands for many.
"""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import psycopg
from fastapi import FastAPI
from sqlalchemy import create_engine, text

from auth.tokens import make_access_token
from benchmarks.claim import Claim, at_least, at_most
from benchmarks.firm import SampleFirm, found_firm
from cli.serving import api_address, api_is_ready, api_process, start_api
from core.config import child_environment, get_settings
from database.schema import migrate
from database.session import (
    API_ROLE,
    as_role,
    create_database_if_missing,
    database_url,
    dispose,
    engine,
    transaction,
)
from mlops.queue import queue_answers, queue_process, start_queue

CONNECTIONS, SECONDS, WARM_SECONDS = 100, 15, 5
REQUESTS_PER_SECOND, P95_MS, P95_THINKING_MS, RESIDENT_MB = 400, 300, 50, 250
_DATABASE = "acis_benchmark"
# What an advisor's morning asks for. CLIENT and ACCOUNT are one of the advisor's own.
PATHS = (
    "/api/v1/clients?limit=25",
    "/api/v1/portfolio/clients/CLIENT",
    "/api/v1/recommendations?limit=25",
    "/api/v1/orders?limit=25",
    "/api/v1/trades?limit=25&client_id=CLIENT",
    "/api/v1/regimes/current",
    "/api/v1/jobs?limit=25",
)
_SCRIPT = """
local callers, paths, think_ms = {%(callers)s}, {%(paths)s}, %(think_ms)d
local threads = 0
function setup(thread) thread:set("offset", threads * 7); threads = threads + 1 end
local asked = 0
function request()
  asked = asked + 1
  local caller = callers[(asked + offset) %% #callers + 1]
  local round = math.floor((asked + offset) / #callers)
  local path = paths[(asked + round) %% #paths + 1]:gsub("CLIENT", caller.clients[round %% #caller.clients + 1])
  return wrk.format("GET", path, {Authorization = caller.token})
end
-- People do not think in step: each pauses as long as it takes, a second on average.
function init() math.randomseed(offset + 1) end
if think_ms > 0 then function delay() return math.random(0, 2 * think_ms) end end
function done(summary, latency, requests)
  local errors = summary.errors
  io.write("RESULT " .. summary.requests .. " " .. summary.duration / 1e6 .. " " .. latency:percentile(50) / 1000 .. " "
    .. latency:percentile(95) / 1000 .. " " .. errors.status + errors.connect + errors.read + errors.write
    + errors.timeout .. "\\n")
end
"""


@dataclass(frozen=True)
class Load:
    """What wrk measured."""

    requests: int
    seconds: float
    p50_ms: float
    p95_ms: float
    errors: int

    @property
    def per_second(self) -> float:
        """Requests answered a second."""
        return self.requests / self.seconds


def load(script: Path, address: str, *, seconds: int) -> Load:
    """Ask for so long."""
    done = subprocess.run(
        ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", script, address],
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    requests, took, p50, p95, errors = line.split()[1:]
    return Load(int(requests), float(took), float(p50), float(p95), int(float(errors)))


def write_script(folder: Path, firm: SampleFirm, paths: tuple[str, ...], *, think_ms: int = 0) -> Path:
    """wrk's script: who asks for what."""
    with transaction() as session:
        rows = session.execute(
            text(
                "select u.email, array_agg(a.client_id) from advisor_assignments a join users u"
                " on u.user_id = a.advisor_id group by u.email order by u.email"
            )
        ).all()
    callers = []
    for email, clients in rows:
        token = make_access_token(user_id=firm.users[email], email=email, role="advisor", epoch=1, sign_in_id=None)
        callers.append(f'{{token = "Bearer {token}", clients = {{{", ".join(map(str, clients))}}}}}')
    quoted = ", ".join(f'"{path}"' for path in paths)
    script = folder / f"{abs(hash((paths, think_ms)))}.lua"
    script.write_text(_SCRIPT % {"callers": ", ".join(callers), "paths": quoted, "think_ms": think_ms})
    return script


def bare() -> FastAPI:
    """The peer: a constant, and a constant from the database."""
    application = FastAPI()
    on = create_engine(database_url().replace("postgresql://", "postgresql+psycopg://", 1), pool_size=10)

    @application.get("/constant")
    def constant() -> dict[str, int]:
        return {"one": 1}

    @application.get("/select")
    def select() -> dict[str, int]:
        with on.connect() as connection:
            return {"one": connection.scalar(text("select 1"))}

    return application


@contextmanager
def peer() -> Iterator[str]:
    """The peer's address."""
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "benchmarks.api:bare", "--port", str(port)]
    options = ["--workers", str(get_settings().api_processes), "--no-access-log", "--log-level", "error"]
    process = subprocess.Popen([*command, *options])
    try:
        _wait(lambda: _answers(f"http://127.0.0.1:{port}/constant"))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"a server did not come up within two minutes: {api_process().log_tail()}")
        time.sleep(0.1)


def _resident_mb() -> float:
    """Memory of the largest of the API's processes."""
    leader = psutil.Process(api_process().process_id())
    return max(one.memory_info().rss for one in (leader, *leader.children(recursive=True))) / 1e6


def _claims(folder: Path, firm: SampleFirm) -> Iterator[Claim]:
    mixed, thinking = write_script(folder, firm, PATHS), write_script(folder, firm, PATHS, think_ms=1000)
    # A portfolio is worked out once a session and then remembered: the first look at each is not what is measured.
    load(write_script(folder, firm, PATHS[1:2]), api_address(), seconds=2 * WARM_SECONDS)
    load(mixed, api_address(), seconds=WARM_SECONDS)
    full = load(mixed, api_address(), seconds=SECONDS)
    calm = load(thinking, api_address(), seconds=SECONDS)
    resident_mb = _resident_mb()
    with peer() as address:
        constant, select = (
            load(write_script(folder, firm, (path,)), address, seconds=SECONDS // 3)
            for path in ("/constant", "/select")
        )
    name = f"API, {len(PATHS)} kinds of reads mixed, {CONNECTIONS} connections"
    yield at_least(
        f"{name}: requests a second", ours=full.per_second, peer=REQUESTS_PER_SECOND, bar=1.0, unit="requests/s"
    )
    yield at_most(f"{name}: 95th percentile", ours=full.p95_ms, peer=P95_MS, bar=1.0, unit="ms")
    yield at_most(
        f"{name}: errors among all answers",
        ours=full.errors + calm.errors,
        peer=full.requests + calm.requests,
        bar=0.0,
        unit="answers",
    )
    yield at_most(
        f"{name}, one second of thought: 95th percentile", ours=calm.p95_ms, peer=P95_THINKING_MS, bar=1.0, unit="ms"
    )
    yield at_most("API: memory of one process under load", ours=resident_mb, peer=RESIDENT_MB, bar=1.0, unit="MB")
    yield at_least(
        f"{name}: beside a bare application that asks the database for a constant",
        ours=full.per_second,
        peer=select.per_second,
        bar=0.12,
        unit="requests/s",
    )
    yield at_least(
        f"{name}: beside a bare application that answers a constant",
        ours=full.per_second,
        peer=constant.per_second,
        bar=0.025,
        unit="requests/s",
    )


def measure() -> Iterator[Claim]:
    """Measure in a child process, on a database and in a folder of its own."""
    if shutil.which("wrk") is None:
        raise SystemExit("the API's benchmark needs wrk: apt-get install wrk")
    url = create_database_if_missing(database_url(), _DATABASE)
    dispose()
    try:
        with TemporaryDirectory() as folder:
            environment = child_environment(
                DATABASE_URL=url,
                API_DATABASE_URL=as_role(url, API_ROLE),
                ACIS_VAR_DIR=folder,
                ACIS_REQUESTS_PER_MINUTE="100000000",
                ACIS_API_PORT=str(_free_port()),
            )
            child = subprocess.run(
                [sys.executable, "-m", "benchmarks.api", folder],
                env={name: value for name, value in environment.items() if name != "REDIS_URL"},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
        for line in child.stdout.splitlines():
            yield Claim(**json.loads(line))
    finally:
        with psycopg.connect(database_url(), autocommit=True) as connection:
            connection.execute(f"drop database if exists {_DATABASE} with (force)")


def measure_here(folder: Path) -> None:
    """Print the claims, on the database that DATABASE_URL names."""
    migrate(engine())
    with transaction() as session:
        firm = found_firm(session)
    start_queue()
    start_api()
    try:
        _wait(queue_answers)
        _wait(api_is_ready)
        for claim in _claims(folder, firm):
            print(claim.to_json(), flush=True)
    finally:
        api_process().stop()
        queue_process().stop()


if __name__ == "__main__":
    measure_here(Path(sys.argv[1]))
