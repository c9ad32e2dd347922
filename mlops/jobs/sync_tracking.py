"""Bring the models that MLflow does not hold yet to it; training never waits for it."""

from core.jobs import SyncTracking
from core.progress import Progress, silent
from database.queries.models import untracked_models
from database.session import transaction
from mlops.registry import KIND, sync_tracking
from mlops.tracking import start_tracking, stop_tracking, wait_until_ready


def run_sync_tracking(*, progress: Progress = silent) -> int:
    """Start the tracking server where it does not run, log what is missing, stop what was started.

    Returns how many runs that made. Where nothing is missing no server is started. Raises Unreachable when the server
    does not answer; the next sync catches up.
    """
    with transaction() as session:
        if not untracked_models(session, kind=KIND):
            return 0
    started = start_tracking()
    try:
        return sync_tracking(tracking_uri=wait_until_ready(progress), progress=progress).runs
    finally:
        if started:
            stop_tracking()


def perform(_: SyncTracking) -> None:
    """The worker's way in."""
    run_sync_tracking()
