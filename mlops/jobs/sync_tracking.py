"""Bring MLflow up to what the rows say, and count what was logged there by hand; nothing ever waits for it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.config import get_settings
from core.jobs import SyncTracking, Ticket
from core.progress import Progress, silent
from database.queries.tracking import mirrored_state
from database.session import transaction
from mlops.registry import SyncReport, sync_tracking
from mlops.tracking import start_tracking, stop_tracking, tracking_uri, wait_until_ready


def tracking_is_behind() -> bool:
    """Whether there is something that our own server was not brought yet. Of a server elsewhere it is not known."""
    with transaction() as session:
        state = mirrored_state(session)
    try:
        brought = json.loads(_mark_file().read_text())
    except FileNotFoundError:
        brought = [0] * len(state)
    return bool(state != brought)


def run_sync_tracking(*, progress: Progress = silent) -> SyncReport:
    """Start the tracking server where it does not run, log what is missing, stop what was started.

    Where nothing is missing and no server runs, none is started: nobody can have logged to it by hand. Raises
    Unreachable when the server does not answer; the next sync catches up.
    """
    if tracking_uri() is None and not tracking_is_behind():
        return SyncReport(runs=0, versions=0, aliases=(), counted=0)
    with transaction() as session:
        state = mirrored_state(session)
    started = start_tracking()
    try:
        report = sync_tracking(tracking_uri=wait_until_ready(progress), progress=progress)
    finally:
        if started:
            stop_tracking()
    _mark_file().parent.mkdir(parents=True, exist_ok=True)
    _mark_file().write_text(json.dumps(state))
    return report


def perform(_: SyncTracking, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in."""
    return asdict(run_sync_tracking(progress=ticket.progress))


def _mark_file() -> Path:
    return get_settings().mlflow_dir / "brought.json"
