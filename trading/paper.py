"""Paper accounts: money in, money out, a fresh start. Every movement is an entry of the journal."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any

from auth.audit import record
from clients import service as clients
from clients.accounts import CASH_USD_MAX
from clients.mandate import limits_of
from clients.words import NAME_MAX, note_of
from core.errors import InputError, Refused
from core.money import CENT, ZERO, money
from database.queries import accounts as account_queries
from database.queries import ledger as queries
from database.queries import orders as order_queries
from database.queries import positions as position_queries
from database.session import Session
from database.tables.accounts import Account
from trading.closing import close_account, hold_book
from trading.ledger import Entry, book_entries, booking_day, deposit_entry, withdrawal_entry
from trading.opening import open_paper_account


@dataclass(frozen=True)
class Movement:
    """Money that came or went, and how the cash stands after it.

    `available_usd` is what may still be taken out: cash less what buys under way may need.
    """

    account_id: int
    entry_id: int
    kind: str
    amount_usd: Decimal
    booked_on: date
    cash_usd: Decimal
    available_usd: Decimal
    warnings: list[str]


def deposit(
    session: Session, *, account_id: int, amount_usd: Decimal, reference: str, note: str | None, as_of: date, actor: str
) -> Movement:
    """Bring money in on `as_of`. `reference` names the movement: booked twice under one, it is refused."""
    _hold(session, account_id)
    amount = _amount(amount_usd)
    memo = note_of(note) or "deposit"
    entry = deposit_entry(booked_on=as_of, amount_usd=amount, source_key=_key("deposit", reference), memo=memo)
    return _move(session, account_id, entry, amount, actor, warnings=[])


def withdraw(
    session: Session, *, account_id: int, amount_usd: Decimal, reference: str, note: str | None, as_of: date, actor: str
) -> Movement:
    """Take money out on `as_of`; warns where the cash falls under the mandate's floor.

    Refused beyond the cash that buys under way leave free.
    """
    _hold(session, account_id)
    amount = _amount(amount_usd)
    cash, reserved = _cash(session, account_id)
    if amount > cash - reserved:
        needed = f", of which orders under way need {reserved:,.2f}" if reserved else ""
        raise Refused(
            f"amount_usd is {amount:,.2f}, the account has {cash:,.2f} USD in cash{needed}:"
            f" take out at most {max(cash - reserved, ZERO):,.2f}"
        )
    memo = note_of(note) or "withdrawal"
    entry = withdrawal_entry(booked_on=as_of, amount_usd=amount, source_key=_key("withdrawal", reference), memo=memo)
    warnings = _floor_warnings(session, account_id, cash - amount, as_of)
    return _move(session, account_id, entry, amount, actor, warnings=warnings)


def open_account(
    session: Session,
    *,
    client_id: int,
    name: str | None,
    opened_on: date,
    initial_cash_usd: Decimal,
    taxation: str,
    is_autonomous: bool,
    limits: Mapping[str, Any] | None,
    known_strategies: Collection[str],
    actor: str,
) -> Account:
    """Another paper account of a client, with its first mandate and its opening deposit booked."""
    client = clients.require_client(session, client_id=client_id, is_locked=True)
    account = clients.open_account(
        session,
        client=client,
        name=name or client.name,
        opened_on=opened_on,
        initial_cash_usd=initial_cash_usd,
        taxation=taxation,
        limits=limits,
        known_strategies=known_strategies,
        autonomous=is_autonomous,
        actor=actor,
    )
    open_paper_account(session, account_id=account.account_id)
    return account


def reset_account(
    session: Session, *, account_id: int, confirm: str, initial_cash_usd: Decimal | None, as_of: date, actor: str
) -> Account:
    """Close the account and open a fresh one in its place: same name, mandate, restrictions and autonomy, new money.

    The old one keeps its history under a name that tells when it ended. `confirm` must be the account's name.
    """
    old = _hold(session, account_id)
    name = old.name
    if confirm != name:
        raise InputError(f"confirm is {confirm!r}: to begin anew, write the account's name {name!r}")
    client = clients.require_client(session, client_id=old.client_id)
    limits = limits_of(clients.mandate_of(session, account_id=account_id))
    setting = account_queries.find_autonomous_setting(session, account_id=account_id)
    close_account(session, account_id=account_id, closed_on=as_of, reason="begun anew", actor=actor)
    ending = f" (until {as_of}, no. {account_id})"
    account_queries.change_account(session, account=old, values={"name": name[: NAME_MAX - len(ending)] + ending})
    new = clients.open_account(
        session,
        client=client,
        name=name,
        opened_on=as_of,
        initial_cash_usd=old.initial_cash_usd if initial_cash_usd is None else initial_cash_usd,
        taxation=old.taxation,
        limits=limits.as_row(),
        known_strategies={limits.preferred_strategy} if limits.preferred_strategy else (),
        autonomous=setting is not None and setting.enabled,
        actor=actor,
    )
    for item in clients.restrictions_of(session, account_id=account_id):
        account_queries.add_restriction(
            session, account_id=new.account_id, kind=item.kind, value=item.value, reason=item.reason
        )
    open_paper_account(session, account_id=new.account_id)
    after = {"account_id": new.account_id, "initial_cash_usd": new.initial_cash_usd}
    record(session, actor=actor, action="reset", subject="account", subject_id=account_id, after=after)
    return new


def _hold(session: Session, account_id: int) -> Account:
    """The account, held against the night and against other movements until the transaction ends."""
    account = clients.require_open_account(session, account_id=account_id)
    if account.kind != "paper":
        raise Refused(f"account {account_id} is a {account.kind} account: only paper accounts take invented money")
    hold_book(session, account.book)
    return clients.require_open_account(session, account_id=account_id, is_locked=True)


def _amount(value: Decimal) -> Decimal:
    if not value.is_finite() or not CENT <= value <= CASH_USD_MAX or value != money(value):
        raise InputError(f"amount_usd is {value}: give between 0.01 and {CASH_USD_MAX:,} USD, to the cent")
    return money(value)


def _key(kind: str, reference: str) -> str:
    return f"{kind}:{sha256(reference.encode()).hexdigest()[:40]}"


def _cash(session: Session, account_id: int) -> tuple[Decimal, Decimal]:
    """All cash that is booked, and what buys under way may take of it."""
    cash = queries.cash_on(session, account_ids=[account_id], until_on=date.max)[account_id]
    return cash, money(order_queries.open_buys_usd(session, account_ids=[account_id]).get(account_id, ZERO))


def _floor_warnings(session: Session, account_id: int, cash_after: Decimal, as_of: date) -> list[str]:
    held = position_queries.positions_of(session, account_ids=[account_id])[account_id]
    quantities = {key: holding.quantity for key, holding in held.items()}
    holdings = clients.held_of(session, account_id=account_id, quantities=quantities, as_of=as_of)
    value = cash_after + sum((one.value_usd for one in holdings), ZERO)
    floor = limits_of(clients.mandate_of(session, account_id=account_id)).cash_weight_min
    if value <= 0 or cash_after >= floor * value:
        return []
    return [
        f"cash is then {cash_after / value:.2%} of the account, the mandate keeps at least {floor:.2%}:"
        " the next night sells to raise it"
    ]


def _move(
    session: Session, account_id: int, entry: Entry, amount: Decimal, actor: str, *, warnings: list[str]
) -> Movement:
    closed_on = position_queries.last_valued_on(session, account_ids=[account_id]).get(account_id)
    if not book_entries(session, account_id=account_id, entries=[entry], closed_on=closed_on):
        raise Refused(f"this {entry.kind} is booked already: give another reference for another movement")
    entry_id = queries.entry_id_of(session, account_id=account_id, source_key=entry.source_key)
    assert entry_id is not None
    cash, reserved = _cash(session, account_id)
    booked_on = booking_day(entry.booked_on, closed_on=closed_on)
    after = {"entry_id": entry_id, "amount_usd": amount, "booked_on": booked_on, "note": entry.memo}
    record(session, actor=actor, action=entry.kind, subject="account", subject_id=account_id, after=after)
    return Movement(account_id, entry_id, entry.kind, amount, booked_on, cash, max(cash - reserved, ZERO), warnings)
