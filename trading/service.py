"""Trading's verbs for doors: from targets to fills, night by night.

A night of one book, in order: settle_book, propose_orders, check_orders, approve_autonomous, then claim_orders |
send_orders | record_answers in three transactions, reconcile_book, value_accounts, book_report. Each verb may be
repeated: what is done stays done.
"""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

from database.queries import accounts as account_queries
from database.queries import orders as order_queries
from database.session import Session, advisory_lock
from database.tables.accounts import Account
from market_data.calendars import next_session
from trading import execute, reconcile
from trading.approval import Approval, Approved, approve, approve_autonomous, reject
from trading.broker import Answer
from trading.execute import Claim, parts
from trading.lineage import explain
from trading.opening import clone_book, open_paper_account
from trading.proposal import Checked, check_orders, propose_orders
from trading.reconcile import Reconciled
from trading.report import ClientReport, Refusal, report_accounts
from trading.settlement import Settled, settle_book, value_accounts

__all__ = [
    "Answer",
    "Approval",
    "Approved",
    "Checked",
    "Claim",
    "ClientReport",
    "Reconciled",
    "Refusal",
    "Settled",
    "approve",
    "approve_autonomous",
    "ask_to_cancel",
    "book_report",
    "check_orders",
    "claim_orders",
    "clone_book",
    "explain_order",
    "open_paper_account",
    "parts",
    "propose_orders",
    "reconcile_book",
    "record_answers",
    "record_cancels",
    "reject",
    "send_orders",
    "settle_book",
    "value_accounts",
]

ORDERS_A_NIGHT_MAX = 500
"""No account needs more: a strategy holds a hundred stocks at most. More is a program that has run away."""


def claim_orders(
    session: Session, *, as_of: date, book: str, account_ids: Collection[int] | None = None
) -> list[Claim]:
    """Take the night's approved orders for sending; the door commits, then calls `send_orders`.

    Orders that a dead process left in flight are looked up at their broker first: found ones are adopted, ones that
    the broker provably never had are sent now, under the same id. Halted accounts send nothing; one with more than
    ORDERS_A_NIGHT_MAX orders is halted here. With `account_ids` the others of the book are left alone.
    """
    advisory_lock(session, f"acis:trading:{book}")
    accounts = _accounts(session, as_of, book, account_ids)
    active = _without_runaways(session, [row.account_id for row in accounts if row.status == "active"], as_of)
    reconcile.reconcile(
        session,
        account_ids=active,
        as_of=as_of,
        open_until=as_of,
        session_on=as_of,
        states=("sending", "unknown"),
    )
    return execute.claim(session, account_ids=active, as_of=as_of)


def send_orders(session: Session, *, claims: Sequence[Claim]) -> list[Answer]:
    """Call the brokers with claimed orders; writes nothing, so that its transaction cannot fail after the call."""
    return execute.send(session, claims=claims)


def record_answers(session: Session, *, answers: Sequence[Answer]) -> dict[str, int]:
    """Write the brokers' answers down; returns counts of accepted, rejected and unknown."""
    return execute.record(session, answers=answers)


def ask_to_cancel(session: Session, *, order_ids: Collection[int], book: str, as_of: date) -> list[Answer]:
    """Ask the brokers to take back the orders that somebody wants back; writes nothing.

    `as_of` is the session that the book has lived to.
    """
    advisory_lock(session, f"acis:trading:{book}")
    orders = order_queries.orders_to_cancel(session, order_ids=order_ids)
    return execute.ask_to_cancel(session, orders=orders, open_until=next_session(as_of))


def record_cancels(session: Session, *, order_ids: Collection[int], answers: Sequence[Answer], book: str) -> int:
    """Write down which orders the brokers took back at once, and withdraw those that no broker has after all; how many.

    `reconcile_book` asks for the others.
    """
    advisory_lock(session, f"acis:trading:{book}")
    withdrawn = execute.withdraw(session, orders=order_queries.orders_to_withdraw(session, order_ids=order_ids))
    return withdrawn + execute.record_cancels(session, answers=answers)


def reconcile_book(
    session: Session, *, as_of: date, book: str, account_ids: Collection[int] | None = None
) -> Reconciled:
    """Ask the brokers what became of every order that they have; book fills, settle what was unknown.

    A paper order of tonight fills at the next session's open where that session's bars are there, else it waits.
    """
    advisory_lock(session, f"acis:trading:{book}")
    accounts = _accounts(session, as_of, book, account_ids)
    return reconcile.reconcile(
        session,
        account_ids=[account.account_id for account in accounts],
        as_of=as_of,
        open_until=next_session(as_of),
    )


def _without_runaways(session: Session, account_ids: Sequence[int], as_of: date) -> list[int]:
    """The accounts whose night is of ordinary size; the others are halted, and a person must look."""
    counts = order_queries.orders_a_night(session, account_ids=account_ids, session_on=as_of)
    for key in account_ids:
        if counts.get(key, 0) > ORDERS_A_NIGHT_MAX:
            reason = (
                f"{counts[key]} orders of the night {as_of}, more than the {ORDERS_A_NIGHT_MAX} of any ordinary one"
            )
            reconcile.halt_account(session, account_id=key, reason=reason)
    return [key for key in account_ids if counts.get(key, 0) <= ORDERS_A_NIGHT_MAX]


def _accounts(session: Session, as_of: date, book: str, account_ids: Collection[int] | None) -> list[Account]:
    accounts = account_queries.accounts_in_book(session, book=book, as_of=as_of)
    return [account for account in accounts if account_ids is None or account.account_id in account_ids]


def book_report(session: Session, *, as_of: date, book: str) -> list[ClientReport]:
    """Per client: cash and value before and after the night, orders, fills, refusals with reasons."""
    return report_accounts(session, book=book, as_of=as_of)


def explain_order(session: Session, *, order_id: int) -> dict[str, Any]:
    """Everything that an order came from, back to features, models, regime, run and code; InputError if unknown."""
    return explain(session, order_id=order_id)
