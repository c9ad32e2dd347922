"""Book holdings from a file, where they are too many to wait for."""

from typing import Any

from clients.service import practice_date
from core.jobs import ApplyImport, Ticket
from database.session import transaction
from portfolios.standings import refresh
from trading.imports import apply_import, find_import


def perform(job: ApplyImport, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in. A second attempt finds what a first one has booked and changes nothing."""
    ticket.progress("holdings", 0, 1)
    with transaction() as session:
        brought = find_import(session, import_id=job.import_id)
        if brought.status != "applied":
            as_of = practice_date(session)
            apply_import(session, import_id=job.import_id, skip_errors=job.skip_errors, as_of=as_of, actor=ticket.actor)
            refresh(session, account_ids=[brought.account_id], as_of=as_of)
        changes = brought.changes
        return {
            "import_id": job.import_id,
            "account_id": brought.account_id,
            "lots_in": len(changes["arriving"]),
            "lots_out": len(changes["leaving"]),
        }
