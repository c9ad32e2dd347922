"""Fill in a report on a client."""

from typing import Any

from core.jobs import MakeReport, Ticket
from database.session import transaction
from portfolios.reports import make_report


def perform(_: MakeReport, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in."""
    with transaction() as session:
        return make_report(session, job_id=ticket.origin_id, progress=ticket.progress)
