"""Everything on one machine: a table of servers, started in order, watched, restarted, stopped in reverse.

A new server is a new row. Servers that the settings name (DATABASE_URL, REDIS_URL, ACIS_MLFLOW_TRACKING_URI) are
checked, never started or stopped.
"""

import fcntl
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cli import serving
from core.config import get_settings
from core.errors import AcisError, Refused, Unreachable
from database.embedded import embedded_is_running, start_embedded
from database.schema import migrate
from database.session import DatabaseError, engine
from jobs.dispatch import DISPATCHER
from mlops import queue, tracking, workers

RESTARTS_MAX = 5
_POLL_S = 0.1
_WATCH_S = 1.0
_BACK_OFF_S_MAX = 30.0
_STEADY_S = 60.0  # who has run this long has recovered: its restarts are forgotten

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Server:
    """One row: how to start it (returns at once), whether it runs, whether it answers, how to stop it, where it is."""

    name: str
    start: Callable[[], object]
    is_alive: Callable[[], bool]
    is_ready: Callable[[], bool]
    stop: Callable[[], None]
    address: Callable[[], str]
    ready_s_max: float = 30.0
    log_path: Path | None = None
    is_ground: bool = False  # the rows below it cannot start without it
    is_ours: bool = True  # one that the settings name is somebody else's to start again


def servers() -> tuple[Server, ...]:
    """The table, in the order of starting."""
    return (_postgres(), _redis(), _mlflow(), _api(), _worker(), _dispatcher())


def _nothing() -> None:
    """What starting and stopping mean for a server that the settings name."""


def _masked(url: str) -> str:
    return re.sub(r"(://[^:/@\s]+:)[^@\s]+@", r"\1***@", url)


def _database_answers() -> bool:
    try:
        with engine().connect():
            return True
    except (AcisError, DatabaseError):
        return False


def _postgres() -> Server:
    settings = get_settings()
    if settings.database_url:
        address = _masked(settings.database_url)
        return Server(
            "postgres", _nothing, _database_answers, _database_answers, _nothing, lambda: address, is_ground=True
        )
    return Server(
        "postgres",
        start=lambda: start_embedded(settings.postgres_dir),
        is_alive=lambda: embedded_is_running(settings.postgres_dir),
        is_ready=_database_answers,
        stop=_nothing,  # it stops with the last process that uses it, which may not be this one
        address=lambda: f"socket in {settings.postgres_dir}",
        log_path=settings.postgres_dir / "log",
        is_ground=True,
    )


def _redis() -> Server:
    settings = get_settings()
    if settings.redis_url:
        address = _masked(settings.redis_url)
        return Server(
            "redis", _nothing, queue.queue_answers, queue.queue_answers, _nothing, lambda: address, is_ours=False
        )
    process = queue.queue_process()
    return Server(
        "redis",
        start=queue.start_queue,
        is_alive=process.is_alive,
        is_ready=queue.queue_answers,
        stop=process.stop,
        address=lambda: f"socket {settings.redis_socket}",
        log_path=process.log_path,
    )


def _api() -> Server:
    process = serving.api_process()
    return Server(
        "api",
        start=serving.start_api,
        is_alive=process.is_alive,
        is_ready=lambda: process.is_alive() and serving.api_is_ready(),
        stop=lambda: process.stop(grace_s=15.0),
        address=serving.api_address,
        ready_s_max=120.0,
        log_path=process.log_path,
    )


def _mlflow() -> Server:
    uri = get_settings().mlflow_tracking_uri
    if uri:
        return Server("mlflow", _nothing, lambda: True, lambda: True, _nothing, lambda: _masked(uri), is_ours=False)
    process = tracking.tracking_process()
    return Server(
        "mlflow",
        start=tracking.start_tracking,
        is_alive=process.is_alive,
        is_ready=tracking.tracking_answers,
        stop=tracking.stop_tracking,
        address=lambda: tracking.tracking_uri() or "",
        ready_s_max=300.0,
        log_path=process.log_path,
    )


def _worker() -> Server:
    process = workers.worker_process()
    return Server(
        "worker",
        start=workers.start_worker,
        is_alive=process.is_alive,
        is_ready=lambda: process.is_alive() and workers.ready_file(workers.WORKER).exists(),
        stop=lambda: process.stop(grace_s=30.0),
        address=lambda: f"process {process.process_id()}",
        ready_s_max=120.0,
        log_path=process.log_path,
    )


def _dispatcher() -> Server:
    process = workers.dispatcher_process()
    return Server(
        "dispatcher",
        start=workers.start_dispatcher,
        is_alive=process.is_alive,
        is_ready=lambda: process.is_alive() and workers.ready_file(DISPATCHER).exists(),
        stop=lambda: process.stop(grace_s=60.0),
        address=lambda: f"process {process.process_id()}",
        ready_s_max=120.0,
        log_path=process.log_path,
    )


@dataclass(frozen=True)
class ServerState:
    """What a look at one server found."""

    name: str
    running: bool
    ready: bool
    address: str


def look() -> list[ServerState]:
    """The state of every row, without starting anything."""
    states = []
    for server in servers():
        running = server.is_alive()
        ready = running and server.is_ready()
        states.append(ServerState(server.name, running, ready, server.address() if running else ""))
    return states


@dataclass
class _Watch:
    """What the supervisor remembers of one server."""

    server: Server
    restarts: int = 0
    started_at: float = field(default_factory=time.monotonic)
    retry_at: float | None = None
    given_up: bool = False


def supervise(stopping: threading.Event, *, tell: Tell, on_ready: Callable[[list[ServerState]], None]) -> bool:
    """Start every server, call `on_ready`, keep them running until `stopping` is set, stop them in reverse.

    False when a server was given up on: after RESTARTS_MAX restarts in a row that did not last.
    """
    table = servers()
    with _only_supervisor():
        try:
            for server in table:
                server.start()
                if server.is_ground and _await(server, stopping):
                    migrate(engine())
            for server in table:
                if _await(server, stopping):
                    tell(f"{server.name} is ready")
            if not stopping.is_set():
                on_ready(look())
            return _keep_up([_Watch(server) for server in table], stopping, tell)
        finally:
            for server in reversed(table):
                _bring_down(server, tell)


def _await(server: Server, stopping: threading.Event) -> bool:
    """Wait until the server answers; False when told to stop before. Raises Unreachable when it does not come up."""
    begun = time.monotonic()
    while not stopping.is_set():
        if server.is_ready():
            return True
        if time.monotonic() - begun > server.ready_s_max or not server.is_alive():
            raise Unreachable(f"{server.name} does not answer within {server.ready_s_max:.0f} s. {_last_words(server)}")
        stopping.wait(_POLL_S)
    return False


def _keep_up(watches: list[_Watch], stopping: threading.Event, tell: Tell) -> bool:
    while not stopping.wait(_WATCH_S):
        for watch in watches:
            _attend(watch, tell)
            if watch.server.is_ground and not watch.server.is_ready():
                break  # what stands on it is seen to when it is back
    return not any(watch.given_up for watch in watches)


def _bring_down(server: Server, tell: Tell) -> None:
    tell(f"stopping {server.name}")
    try:
        server.stop()
    except AcisError as error:
        tell(str(error))  # the others must be stopped all the same


def _attend(watch: _Watch, tell: Tell) -> None:
    """One look: note a crash and when to try again, try again when that is due, give up after too many."""
    now, server = time.monotonic(), watch.server
    if watch.given_up or not server.is_ours:
        return
    if watch.retry_at is not None:
        if now >= watch.retry_at:
            watch.retry_at, watch.started_at = None, now
            watch.restarts += 1
            tell(f"starting {server.name} again ({watch.restarts} of at most {RESTARTS_MAX} in a row)")
            _start_again(server, tell)
    elif not server.is_alive():
        if watch.restarts >= RESTARTS_MAX:
            watch.given_up = True
            tell(f"{server.name} keeps ending and is left alone. {_last_words(server)}")
            return
        pause = min(2.0**watch.restarts, _BACK_OFF_S_MAX)
        watch.retry_at = now + pause
        tell(f"{server.name} has ended; starting it again in {pause:.0f} s")
    elif now - watch.started_at > _STEADY_S:
        watch.restarts = 0


def _start_again(server: Server, tell: Tell) -> None:
    try:
        server.start()
    except AcisError as error:
        tell(str(error))  # the next look finds it dead and counts the attempt


def _last_words(server: Server) -> str:
    if server.log_path is None or not server.log_path.exists():
        return ""
    lines = server.log_path.read_text(errors="replace").strip().splitlines()
    return f"Its log {server.log_path} ends: {' | '.join(lines[-3:])}"


@contextmanager
def _only_supervisor() -> Iterator[None]:
    """One supervisor at a time; the lock dies with the process that holds it."""
    run_dir = get_settings().run_dir
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused("`acis up` runs already: stop it there, or look at `acis status`") from error
        yield


def database_is_there() -> bool:
    """Whether a database was ever set up, so that looking at it makes none."""
    settings = get_settings()
    return settings.database_url is not None or (settings.postgres_dir / "PG_VERSION").exists()
