"""Bring the models that MLflow does not hold yet to it; training never waits for it."""

from core.progress import Progress, silent
from mlops.registry import folds_to_log, sync_tracking
from mlops.tracking import start_tracking, wait_until_ready


def run_sync_tracking(*, progress: Progress = silent) -> int:
    """Log what is missing and return how many runs that made; the server is started where it does not run.

    Nothing to log needs no server. Raises Unreachable when it does not answer; the next sync catches up.
    """
    if not folds_to_log():
        return 0
    start_tracking()
    return sync_tracking(tracking_uri=wait_until_ready(progress), progress=progress).runs
