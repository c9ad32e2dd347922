"""Opens accounts: a paper account's first deposit, and the copies of a book that a replay trades."""

from datetime import date

from auth.audit import record
from core.errors import InputError, NotFound, Refused
from database.queries import accounts as account_queries
from database.session import Session
from database.tables.accounts import Account
from trading.ledger import book_entries, deposit_entry


def open_paper_account(session: Session, *, account_id: int) -> bool:
    """Book the opening deposit of a paper or replay account; False where it was booked before."""
    account = account_queries.find_account(session, account_id=account_id)
    if account is None:
        raise NotFound("account", account_id)
    return book_deposit(session, account)


def book_deposit(session: Session, account: Account) -> bool:
    """The account's initial cash, on the day it opens; False where there is none, or it was booked before."""
    if account.initial_cash_usd == 0:
        return False
    if account.kind == "live":
        raise Refused(f"account {account.account_id} is live: its money comes from the broker, not from here")
    entry = deposit_entry(
        booked_on=account.opened_on,
        amount_usd=account.initial_cash_usd,
        source_key="opening deposit",
        memo=f"opening deposit of {account.name}",
    )
    return bool(book_entries(session, account_id=account.account_id, entries=[entry], closed_on=None))


def clone_book(session: Session, *, from_book: str, to_book: str, opened_on: date, actor: str = "replay") -> list[int]:
    """Accounts of `to_book` that copy those of `from_book`, opened on `opened_on` with their initial cash.

    The newest mandate counts from the first day, restrictions are copied. Every copy trades by itself: in a replay
    there is nobody to ask, and an account that waits would only show what cash brings. Accounts that were cloned
    before stay as they are. Returns the ids of all accounts of `to_book`.
    """
    if from_book == to_book:
        raise InputError(f"to_book is {to_book!r}, the same as from_book: name the replay differently")
    standing = account_queries.accounts_in_book(session, book=from_book)
    # An account whose holdings all came from elsewhere has nothing to begin a replay with.
    originals = [account for account in standing if account.initial_cash_usd > 0]
    if not originals:
        raise InputError(f"from_book is {from_book!r}, which has no accounts with initial cash: add a client first")
    there = {(copy.client_id, copy.name) for copy in account_queries.accounts_in_book(session, book=to_book)}
    ids = [account.account_id for account in originals]
    mandates = account_queries.newest_mandates(session, account_ids=ids)
    restrictions = account_queries.restrictions_of(session, account_ids=ids)
    for original in originals:
        if (original.client_id, original.name) in there:
            continue
        copy = account_queries.add_account(
            session,
            client_id=original.client_id,
            name=original.name,
            kind="replay",
            book=to_book,
            opened_on=opened_on,
            initial_cash_usd=original.initial_cash_usd,
            taxation=original.taxation,
        )
        if copy is None:
            raise Refused(
                f"book {to_book!r} has a closed account called {original.name!r}: name the replay differently"
            )
        account_queries.copy_mandate(
            session, mandate=mandates[original.account_id], account_id=copy.account_id, effective_on=opened_on
        )
        for item in restrictions.get(original.account_id, []):
            account_queries.add_restriction(
                session, account_id=copy.account_id, kind=item.kind, value=item.value, reason=item.reason
            )
        account_queries.set_autonomous(
            session, account_id=copy.account_id, enabled=True, paused_at=None, paused_reason=None
        )
        record(
            session,
            actor=actor,
            action="clone",
            subject="account",
            subject_id=copy.account_id,
            after={"from_account_id": original.account_id, "book": to_book, "opened_on": opened_on},
        )
        book_deposit(session, copy)
    return [account.account_id for account in account_queries.accounts_in_book(session, book=to_book)]
