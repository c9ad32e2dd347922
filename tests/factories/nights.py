"""One night's trading verbs in their order, in the transaction of a test."""

from datetime import date

from sqlalchemy.orm import Session

from database.queries import accounts
from database.tables.accounts import Account
from tests.factories.accounts import create_account, create_mandate
from trading import service


def create_funded_account(
    session: Session, *, opened_on: date, book: str = "paper", autonomous: bool = True, **mandate: str
) -> Account:
    """An account with mandate, autonomy and its opening deposit."""
    account = create_account(session, opened_on=opened_on, book=book)
    create_mandate(session, account, **mandate)
    accounts.set_autonomous(
        session, account_id=account.account_id, enabled=autonomous, paused_at=None, paused_reason=None
    )
    service.open_paper_account(session, account_id=account.account_id)
    return account


def trade_night(session: Session, *, as_of: date, book: str = "paper") -> service.Reconciled:
    """From settling the book to its valuation; targets must be there already."""
    service.settle_book(session, as_of=as_of, book=book)
    service.propose_orders(session, as_of=as_of, book=book)
    service.check_orders(session, as_of=as_of, book=book)
    service.approve_autonomous(session, as_of=as_of, book=book)
    claims = service.claim_orders(session, as_of=as_of, book=book)
    service.record_answers(session, answers=service.send_orders(session, claims=claims))
    done = service.reconcile_book(session, as_of=as_of, book=book)
    service.value_accounts(session, as_of=as_of, book=book)
    return done
