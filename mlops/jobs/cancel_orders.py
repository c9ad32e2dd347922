"""Ask the brokers to take back orders that somebody wants back."""

from collections import defaultdict
from datetime import date
from typing import Any

from core.jobs import CancelOrders, Ticket
from core.progress import Progress, silent
from database.queries.orders import sole_sender
from database.queries.recommendations import OrderPlace, places_of_orders
from database.session import transaction
from portfolios.standings import refresh
from trading.service import ask_to_cancel, reconcile_book, record_cancels


def cancel_orders(job: CancelOrders, *, progress: Progress = silent) -> dict[str, int]:
    """Ask, write down what was taken back, and settle what was filled instead; counts of both. Safe to repeat."""
    done = {"canceled": 0, "fills": 0}
    books: dict[str, list[OrderPlace]] = defaultdict(list)
    with transaction() as session:
        for place in places_of_orders(session, order_ids=job.order_ids):
            books[place.book].append(place)
    for number, (book, places) in enumerate(sorted(books.items())):
        progress(f"asking the brokers of book {book}", number, len(books))
        as_of = max(place.lived_on for place in places)
        accounts = {place.account_id for place in places}
        with sole_sender(book):
            # What a dead sender left in flight is looked for first: it may have to be asked for, or be here again.
            done["fills"] += _reconcile(book, as_of, accounts)
            with transaction() as session:
                answers = ask_to_cancel(session, order_ids=job.order_ids, book=book, as_of=as_of)
            with transaction() as session:
                done["canceled"] += record_cancels(session, order_ids=job.order_ids, answers=answers, book=book)
            done["fills"] += _reconcile(book, as_of, accounts)
        with transaction() as session:
            refresh(session, account_ids=accounts, as_of=as_of)
    return done


def _reconcile(book: str, as_of: date, account_ids: set[int]) -> int:
    with transaction() as session:
        return reconcile_book(session, as_of=as_of, book=book, account_ids=account_ids).fills


def perform(job: CancelOrders, ticket: Ticket) -> dict[str, Any]:
    """The worker's way in."""
    return cancel_orders(job, progress=ticket.progress)
