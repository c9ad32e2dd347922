"""Send what an advisor approved by hand, between the night and the next open."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.jobs import SendApproved, Ticket
from core.progress import Progress, silent
from database.session import transaction
from mlops.sending import send_approved
from portfolios.standings import refresh
from trading.service import approve, reconcile_book


@dataclass(frozen=True)
class Sent:
    """What the brokers said so far, and how many fills there are already."""

    accepted: int
    rejected: int
    unknown: int
    withheld: int
    recalled: int
    fills: int


def run_send_approved(*, recommendation_ids: Sequence[int], actor: str) -> Sent:
    """Approve recommendations of one night and book, send their orders and ask what became of them.

    Raises InputError for ids of several nights or books at once, Refused where a rule objects.
    """
    with transaction() as session:
        approval = approve(session, recommendation_ids=recommendation_ids, actor=actor)
    return send(SendApproved(as_of=approval.as_of, book=approval.book, account_ids=approval.account_ids))


def send(job: SendApproved, *, progress: Progress = silent) -> Sent:
    """Send the approved orders, one call each, and ask the brokers what became of them. Safe to repeat anywhere."""
    said = send_approved(job.as_of, job.book, account_ids=job.account_ids, tickets_max=1, progress=progress)
    progress("fills", 0, 1)
    with transaction() as session:
        reconciled = reconcile_book(session, as_of=job.as_of, book=job.book, account_ids=job.account_ids)
    # Fills are kept, whatever the figures about them meet.
    with transaction() as session:
        refresh(session, account_ids=job.account_ids, as_of=job.as_of)
    return Sent(fills=reconciled.fills, **said)


def perform(job: SendApproved, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in."""
    return asdict(send(job, progress=ticket.progress))
