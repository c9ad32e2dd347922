"""Brings a book up to a session's close, and values it there."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from core.errors import IntegrityBroken, Refused
from core.money import ZERO
from database.queries import accounts as account_queries
from database.queries import fills as fill_queries
from database.queries import ledger as ledger_queries
from database.queries import orders as order_queries
from database.queries import positions as position_queries
from database.session import Session, advisory_lock
from trading.entitlements import apply_splits, credit_dividends, lots_to_split
from trading.ledger import find_faults
from trading.opening import book_deposit
from trading.portfolio import holdings_value, read_prices
from trading.reconcile import halt_account, reconcile
from trading.timeline import Move, move_orders


@dataclass(frozen=True)
class Settled:
    """What settling a book brought before the night's trading."""

    accounts: int
    deposits: int
    fills: int
    dividends_usd: Decimal
    splits: int
    expired: int
    halted: dict[int, str] = field(default_factory=dict)


def settle_book(session: Session, *, as_of: date, book: str) -> Settled:
    """Bring the book up to the close of `as_of`: opening deposits, fills of earlier nights, splits, dividends, expiry.

    An account whose books do not agree is halted and left alone; the others go on. Raises Refused when an account of
    the book was valued after `as_of`: history is not traded again, a replay has a book of its own.
    """
    advisory_lock(session, f"acis:trading:{book}")
    accounts = account_queries.accounts_in_book(session, book=book, as_of=as_of)
    ids = [account.account_id for account in accounts]
    closed = position_queries.last_valued_on(session, account_ids=ids)
    later = {key: on for key, on in closed.items() if on > as_of}
    if later:
        key, on = max(later.items(), key=lambda item: item[1])
        raise Refused(
            f"as_of is {as_of}, but account {key} of book {book!r} was valued on {on} already: a past night cannot be"
            " traded again, use a replay, which has a book of its own"
        )
    deposits = sum(book_deposit(session, account) for account in accounts if account.account_id not in closed)
    earlier = reconcile(session, account_ids=ids, as_of=as_of, open_until=as_of, before_on=as_of)
    halted = dict(earlier.halted)
    watched = [account.account_id for account in accounts if account.status == "active"]
    for key, reason in _broken_books(session, watched, as_of).items():
        halt_account(session, account_id=key, reason=reason)
        halted[key] = reason
    splits = 0
    for key, lots in lots_to_split(session, account_ids=[key for key in watched if key not in halted], as_of=as_of):
        try:
            with session.begin_nested():
                splits += apply_splits(session, account_id=key, lots=lots, closed_on=closed.get(key))
        except IntegrityBroken as error:
            halt_account(session, account_id=key, reason=str(error))
            halted[key] = str(error)
    credited = credit_dividends(
        session, account_ids=[key for key in ids if key not in halted], as_of=as_of, closed=closed
    )
    return Settled(
        accounts=len(accounts),
        deposits=deposits,
        fills=earlier.fills,
        dividends_usd=sum(credited.values(), ZERO),
        splits=splits,
        expired=_expire(session, ids, as_of),
        halted=halted,
    )


def _broken_books(session: Session, account_ids: Sequence[int], as_of: date) -> dict[int, str]:
    """Accounts whose books do not agree, or hold something that nobody can price."""
    broken = find_faults(session, account_ids=account_ids)
    held = position_queries.positions_of(session, account_ids=account_ids)
    prices = read_prices(session, instrument_ids={key for positions in held.values() for key in positions}, as_of=as_of)
    for key, positions in held.items():
        unpriced = sorted(positions.keys() - prices.keys())
        if unpriced:
            broken.setdefault(key, f"instruments {unpriced} are held and have no price in the last 400 days")
    return broken


def _expire(session: Session, account_ids: Collection[int], as_of: date) -> int:
    """Whatever of earlier nights was never sent is void: its prices and its plan are old."""
    stale = order_queries.orders_in(session, account_ids=account_ids, states=("planned", "intent"), before_on=as_of)
    evidence = {"reason": f"not sent before the night of {as_of}"}
    move_orders(session, [Move(order.order_id, order.state, "expired", evidence) for order in stale])
    expired = order_queries.expire_recommendations(session, account_ids=account_ids, before_on=as_of)
    return len(stale) + expired


def value_accounts(session: Session, *, as_of: date, book: str) -> int:
    """Store cash and holdings of each account at the close of `as_of`; returns how many were new.

    Trades of later sessions are left out: the night's own orders fill at the next open.
    """
    accounts = account_queries.accounts_in_book(session, book=book, as_of=as_of)
    ids = [account.account_id for account in accounts]
    cash = ledger_queries.cash_on(session, account_ids=ids, until_on=as_of)
    held = position_queries.positions_of(session, account_ids=ids)
    later = fill_queries.shares_traded_after(session, account_ids=ids, after_on=as_of)
    holdings: dict[int, dict[int, Decimal]] = {
        key: {instrument: holding.quantity for instrument, holding in positions.items()}
        for key, positions in held.items()
    }
    for (key, instrument), quantity in later.items():
        holdings[key][instrument] = holdings[key].get(instrument, ZERO) - quantity
    prices = read_prices(
        session, instrument_ids={instrument for own in holdings.values() for instrument in own}, as_of=as_of
    )
    valuations = []
    for key in ids:
        own = {instrument: quantity for instrument, quantity in holdings[key].items() if quantity}
        # A holding without any price leaves the account's value unknown; settle_book has halted it for that.
        if own.keys() <= prices.keys():
            securities = holdings_value(own, prices)
            valuations.append(
                {"account_id": key, "session_on": as_of, "cash_usd": cash[key], "securities_usd": securities}
            )
    return position_queries.insert_valuations(session, valuations=valuations)
