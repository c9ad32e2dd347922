"""One night: from the day's bars to fills and the report."""

from datetime import date
from typing import Any

from clients.service import PAPER_BOOK
from core.clock import today_in_new_york
from core.jobs import Nightly, Ticket
from core.progress import Progress, silent
from mlops.night import run_night


def run_nightly(*, as_of: date, progress: Progress = silent) -> dict[str, Any]:
    """Run the firm's own book through the night of `as_of`; the same night twice is one night."""
    return run_night(as_of=as_of, book=PAPER_BOOK, progress=progress)


def perform(job: Nightly, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in. The report names clients and stays in the run's row."""
    report = run_nightly(as_of=job.as_of or today_in_new_york(), progress=ticket.progress)
    return {name: report[name] for name in ("run_id", "as_of", "book", "strategy", "counts")}
