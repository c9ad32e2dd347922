"""Send what an advisor approved by hand, between the night and the next open."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import InputError
from database.queries.accounts import find_account
from database.queries.orders import find_recommendations
from database.session import transaction
from mlops.night import send_approved
from trading.service import approve, reconcile_book


@dataclass(frozen=True)
class Sent:
    """What an approval brought: orders made, and what the brokers said so far."""

    approved: int
    accepted: int
    rejected: int
    unknown: int
    fills: int


def run_send_approved(*, recommendation_ids: Sequence[int], actor: str) -> Sent:
    """Approve recommendations of one night and book, send their orders and ask what became of them.

    Raises InputError for ids of several nights or books at once, Refused for ones that are decided already.
    """
    with transaction() as session:
        rows = find_recommendations(session, recommendation_ids=recommendation_ids)
        approved = approve(session, recommendation_ids=recommendation_ids, actor=actor)
        accounts = [find_account(session, account_id=key) for key in {row.account_id for row in rows}]
        nights = {(row.session_on, account.book) for row in rows for account in accounts if account is not None}
        if len(nights) != 1:
            raise InputError(
                f"recommendation_ids belong to {len(nights)} nights and books: approve those of one night at a time"
            )
    as_of, book = nights.pop()
    answers = send_approved(as_of, book)
    with transaction() as session:
        reconciled = reconcile_book(session, as_of=as_of, book=book)
    return Sent(approved=approved, fills=reconciled.fills, **answers)
