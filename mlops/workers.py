"""The worker and the dispatcher as processes: started, watched and stopped like the servers."""

import sys
from pathlib import Path

from core.config import get_settings
from core.jobs import Lane
from database.session import database_url
from jobs.dispatch import DISPATCHER
from mlops.process import Process, process

WORKER = "worker"
# How many jobs of a lane run at once.
LANES = {Lane.FIRM: 1, Lane.TRAINING: 1, Lane.DESK: 2}


def worker_process() -> Process:
    """The worker's process, running or not."""
    return _process(WORKER)


def dispatcher_process() -> Process:
    """The dispatcher's process, running or not."""
    return _process(DISPATCHER)


def ready_file(name: str) -> Path:
    """The file that the worker or the dispatcher touches when it begins to work."""
    return get_settings().run_dir / f"{name}.ready"


def start_worker() -> None:
    """Start one worker with a place for each job that may run; one left over from a killed owner may run old code and
    goes."""
    _start(
        worker_process(),
        *("celery", "--app", "mlops.celery_app", "worker", "--concurrency", str(sum(LANES.values()))),
        *("--loglevel", "INFO", "--without-gossip", "--without-mingle"),
    )


def start_dispatcher() -> None:
    """Start the dispatcher. What it must know stands in the database: one that was away catches up."""
    _start(dispatcher_process(), "mlops.dispatcher")


def _process(name: str) -> Process:
    settings = get_settings()
    return process(name, run_dir=settings.run_dir, log_dir=settings.log_dir)


def _start(target: Process, *words: str) -> None:
    target.stop()
    ready_file(target.name).unlink(missing_ok=True)
    target.start(
        [sys.executable, "-m", *words],
        environment={
            # Joined, not owned: a server of its own would outlive the one who started the worker.
            "DATABASE_URL": database_url(),
            # SIGTERM means: finish within the soft shutdown's seconds, else give the job back.
            "REMAP_SIGTERM": "SIGQUIT",
        },
    )
