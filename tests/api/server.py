"""A real server in a thread, for what only shows between processes: parallel calls, slow callers, large bodies."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI


@contextmanager
def served(application: FastAPI, folder: Path) -> Iterator[str]:
    """The application behind a real server on a socket in `folder`."""
    path = str(folder / "s")
    server = uvicorn.Server(uvicorn.Config(application, uds=path, log_config=None, http="api.protocol:Protocol"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield path
    server.should_exit = True
    thread.join()
