"""The MLflow server: registry and the scientists' window, never the loader of what trades.

Its tables live in a database of their own on the platform's PostgreSQL server, its artefacts in `var/mlflow`. It
listens on loopback only, reports to nobody and runs one worker. On an empty database it migrates for half a minute
to a minute and a half, so whoever will need it starts it early: `start_tracking` returns at once.
"""

import http.client
import json
import socket
import sys
import time
from contextlib import closing, suppress
from http import HTTPStatus
from pathlib import Path

from core.config import get_settings
from core.errors import Unreachable
from core.progress import Progress, silent
from database.session import create_database_if_missing, database_url
from mlops.process import Process, process

DATABASE = "mlflow"
HOST = "127.0.0.1"
_FIRST_PORT = 5000
_READY_S = 300
_ENVIRONMENT = {
    # Scheduled scorers and their runner processes: none is used here.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    # Nothing that makes the server call out on a client's word: no webhook and no icon has a scheme called "none",
    # no gateway to language models, no catalogue of them from the network.
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "none",
    "MLFLOW_ICON_URL_ALLOWED_SCHEMES": "none",
    "MLFLOW_ENABLE_AI_GATEWAY": "false",
    "MLFLOW_MODEL_CATALOG_URI": "",
    # It keeps copies of models for people to look at; it need never load one.
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_X_FRAME_OPTIONS": "DENY",
    "GIT_PYTHON_REFRESH": "quiet",
}


def tracking_process() -> Process:
    """The tracking server's process, running or not."""
    settings = get_settings()
    return process("mlflow", run_dir=settings.mlflow_dir, log_dir=settings.log_dir)


def start_tracking() -> bool:
    """Start the tracking server and return at once; False when one is named by the settings or already runs."""
    settings = get_settings()
    if settings.mlflow_tracking_uri or tracking_process().is_alive():
        return False
    store = create_database_if_missing(database_url(), DATABASE).replace("postgresql://", "postgresql+psycopg://", 1)
    artefacts = (settings.mlflow_dir / "artefacts").resolve()
    artefacts.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    _address_file().write_text(json.dumps({"host": HOST, "port": port}))
    return tracking_process().start(
        [
            *(sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
            *("--serve-artifacts", "--artifacts-destination", artefacts.as_uri()),
            *("--allowed-hosts", f"{HOST}:{port},localhost:{port}"),
        ],
        # In the environment, not on the command line: the URL may hold a password, and `ps` shows command lines.
        environment={**_ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": store},
    )


def tracking_uri() -> str | None:
    """Where to log: the server that the settings name, or our own if it runs; None when there is neither."""
    settings = get_settings()
    if settings.mlflow_tracking_uri:
        return settings.mlflow_tracking_uri
    if not tracking_process().is_alive():
        return None
    address = json.loads(_address_file().read_text())
    return f"http://{address['host']}:{address['port']}"


def tracking_answers() -> bool:
    """Whether our own server answers on /health."""
    uri = tracking_uri()
    if uri is None:
        return False
    with (
        closing(http.client.HTTPConnection(uri.removeprefix("http://"), timeout=2)) as connection,
        suppress(OSError, http.client.HTTPException),
    ):
        connection.request("GET", "/health")
        return connection.getresponse().status == HTTPStatus.OK
    return False


def wait_until_ready(progress: Progress = silent) -> str:
    """Wait for the server that `start_tracking` began; returns its URI. A server of the settings is taken as ready."""
    settings = get_settings()
    if settings.mlflow_tracking_uri:
        return settings.mlflow_tracking_uri
    begun = time.monotonic()
    while not tracking_answers():
        waited = int(time.monotonic() - begun)
        if not tracking_process().is_alive() or waited >= _READY_S:
            raise Unreachable(f"the tracking server does not start: {tracking_process().log_tail()}")
        progress("wait for MLflow (its first start migrates)", min(waited, 89), 90)
        time.sleep(0.25)
    progress("wait for MLflow (its first start migrates)", 90, 90)
    uri = tracking_uri()
    assert uri is not None
    return uri


def stop_tracking() -> None:
    """Stop our own server, if it runs."""
    tracking_process().stop()


def _address_file() -> Path:
    return get_settings().mlflow_dir / "address.json"


def _free_port() -> int:
    """MLflow's customary port, or any other when that is taken."""
    for port in (_FIRST_PORT, 0):
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise Unreachable(f"no free port on {HOST}")
