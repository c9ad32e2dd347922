"""Carries a night's approved orders to their brokers: claim and commit, call, record the answers.

One process at a time does this for a book. One that dies in between leaves orders in `sending`; the next claim asks
their broker for them first. The calls are made in parts, each in transactions of its own, so that whoever throws a kill
switch waits for one call at most.
"""

from collections import Counter
from collections.abc import Collection
from datetime import date

from core.progress import Progress, silent
from database.queries.orders import sole_sender
from database.session import transaction
from trading.execute import TICKETS_AT_ONCE
from trading.service import claim_orders, parts, record_answers, send_orders


def send_approved(
    as_of: date,
    book: str,
    *,
    account_ids: Collection[int] | None = None,
    tickets_max: int = TICKETS_AT_ONCE,
    progress: Progress = silent,
) -> dict[str, int]:
    """Send what is approved, of some accounts where they are named; counts of what the brokers said.

    `progress` is told each call's place among the orders; it must not stop the work, whose claims are made by then.
    """
    said: Counter[str] = Counter(accepted=0, rejected=0, unknown=0, withheld=0, recalled=0)
    with sole_sender(book):
        with transaction() as session:
            claims = claim_orders(session, as_of=as_of, book=book, account_ids=account_ids)
        total, done = sum(len(one.tickets) for one in claims), 0
        for part in parts(claims, tickets_max=tickets_max):
            progress(f"sending: order {done + 1} of {total}", done, total)
            with transaction() as session:
                answers = send_orders(session, claims=[part])
            with transaction() as session:
                said.update(record_answers(session, answers=answers))
            done += len(part.tickets)
    return dict(said)
