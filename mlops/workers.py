"""The worker and the scheduler as processes: started, watched and stopped like the servers."""

import sys
from pathlib import Path

from core.config import get_settings
from database.session import database_url
from mlops.process import Process, process

WORKER = "worker"
BEAT = "beat"
_APP = "mlops.celery_app"


def worker_process() -> Process:
    """The worker's process, running or not."""
    return _process(WORKER)


def beat_process() -> Process:
    """The scheduler's process, running or not."""
    return _process(BEAT)


def ready_file(name: str) -> Path:
    """The file that the worker or the scheduler touches when it begins to consume or to send."""
    return get_settings().run_dir / f"{name}.ready"


def start_worker() -> None:
    """Start one worker that does one job at a time; one left over from a killed owner may run old code and goes."""
    _start(
        worker_process(), "worker", "--concurrency", "1", "--loglevel", "INFO", "--without-gossip", "--without-mingle"
    )


def start_beat() -> None:
    """Start the scheduler. It remembers in `var/run` what it sent last, so a row missed while it was down is sent."""
    _start(
        beat_process(),
        "beat",
        "--loglevel",
        "INFO",
        "--schedule",
        str(get_settings().run_dir / "beat"),
        "--pidfile",
        "",
    )


def _process(name: str) -> Process:
    settings = get_settings()
    return process(name, run_dir=settings.run_dir, log_dir=settings.log_dir)


def _start(target: Process, *words: str) -> None:
    target.stop()
    ready_file(target.name).unlink(missing_ok=True)
    target.start(
        [sys.executable, "-m", "celery", "--app", _APP, *words],
        environment={
            # Joined, not owned: a server of its own would outlive the one who started the worker.
            "DATABASE_URL": database_url(),
            # SIGTERM means: finish within the soft shutdown's seconds, else give the job back.
            "REMAP_SIGTERM": "SIGQUIT",
        },
    )
