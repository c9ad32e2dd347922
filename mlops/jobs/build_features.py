"""Build the feature snapshots, one process at a time."""

from dataclasses import asdict
from typing import Any

from core.jobs import BuildFeatures, Ticket
from core.progress import Progress, silent
from database.queries.runs import exclusive_run
from database.session import transaction
from features.service import BuildReport, build_features
from market_data.service import latest_session

BOOK = "features"  # snapshots belong to no account's book


def run_build_features(*, progress: Progress = silent) -> BuildReport:
    """Build the years that are stale; a second run finds none."""
    with transaction() as session:
        newest = latest_session(session)
    with exclusive_run(BuildFeatures.name, newest, BOOK):
        return build_features(progress=progress)


def perform(_: BuildFeatures, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in."""
    return asdict(run_build_features(progress=ticket.progress))
