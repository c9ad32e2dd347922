"""What ends: accounts that are closed, clients who are put away. Their history stays."""

from collections.abc import Collection
from datetime import date

from auth.audit import record
from clients import service as clients
from clients.words import require_text
from core.errors import Refused
from database.queries import accounts as account_queries
from database.queries import orders as order_queries
from database.session import Session, advisory_lock
from database.tables.accounts import Account
from database.tables.households import Client
from trading.order import OPEN


def close_account(session: Session, *, account_id: int, closed_on: date, reason: str, actor: str) -> Account:
    """Close an account for good: it takes part in no night any more, what it holds stays as its last state.

    Refused while orders are under way. What was recommended and not decided on is void.
    """
    account = clients.require_open_account(session, account_id=account_id)
    hold_book(session, account.book)
    account = clients.require_open_account(session, account_id=account_id, is_locked=True)
    reason = require_text("reason", reason)
    _require_no_orders(session, [account_id])
    order_queries.expire_recommendations(session, account_ids=[account_id], before_on=date.max)
    account_queries.close_account(session, account=account, closed_on=max(closed_on, account.opened_on))
    after = {"closed_on": account.closed_on, "reason": reason}
    record(session, actor=actor, action="close", subject="account", subject_id=account_id, after=after)
    return account


def archive_client(session: Session, *, client_id: int, reason: str, actor: str) -> Client:
    """Put a client away: their accounts take part in no night until they are restored.

    Refused while orders are under way. What was recommended and not decided on is void.
    """
    clients.require_client(session, client_id=client_id)
    hold_book(session, clients.PAPER_BOOK)
    accounts = account_queries.accounts_of_client(session, client_id=client_id, book=clients.PAPER_BOOK)
    ids = [account.account_id for account in accounts]
    _require_no_orders(session, ids)
    order_queries.expire_recommendations(session, account_ids=ids, before_on=date.max)
    return clients.archive_client(session, client_id=client_id, reason=reason, actor=actor)


def hold_book(session: Session, book: str) -> None:
    """Keep the book's night out until this transaction ends; others who change single accounts need not wait."""
    advisory_lock(session, f"acis:trading:{book}", is_shared=True)


def _require_no_orders(session: Session, account_ids: Collection[int]) -> None:
    orders = order_queries.orders_in(session, account_ids=account_ids, states=OPEN)
    if orders:
        shown = ", ".join(str(order.order_id) for order in orders[:5])
        raise Refused(f"{len(orders)} orders are under way ({shown}): cancel them, or wait until they are done")
