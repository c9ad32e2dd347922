"""Verbs on accounts: opened with a mandate, renamed, halted, resumed, let trade by themselves."""

from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from auth.audit import record
from clients.mandate import DEFAULT_LIMITS, changed_limits
from clients.practice import PAPER_BOOK
from clients.words import require_text
from core.clock import now
from core.errors import InputError, NotFound, Refused, UnknownName
from core.money import money
from database.queries import accounts as queries
from database.session import Session
from database.tables.accounts import Account
from database.tables.households import Client

TAXATIONS = ("taxable", "tax_deferred", "tax_free")
CASH_USD_MAX = Decimal("1000000000.00")
_CASH_USD_MIN = Decimal("10000.00")


def open_account(
    session: Session,
    *,
    client: Client,
    name: str,
    opened_on: date,
    initial_cash_usd: Decimal | int | str,
    taxation: str = "taxable",
    limits: Mapping[str, Any] | None = None,
    known_strategies: Collection[str] = (),
    autonomous: bool = False,
    actor: str = "operator",
) -> Account:
    """A paper account with its first mandate and autonomous setting; trading books its opening deposit.

    `limits` changes single limits of the client's risk tolerance's default. No cash at all is for an account whose
    holdings come in from elsewhere.
    """
    if client.archived_at is not None:
        raise Refused(f"client {client.client_id} is archived: restore them first")
    cash = require_cash(initial_cash_usd)
    checked = changed_limits(DEFAULT_LIMITS[client.risk_tolerance], limits or {}, known_strategies=known_strategies)
    account = queries.add_account(
        session,
        client_id=client.client_id,
        name=require_text("name", name),
        kind="paper",
        book=PAPER_BOOK,
        opened_on=opened_on,
        initial_cash_usd=cash,
        taxation=_require_taxation(taxation),
    )
    if account is None:
        raise InputError(f"name is {name!r}, and the client has an account of that name: choose another name")
    key = account.account_id
    mandate = queries.add_mandate(session, account_id=key, effective_on=opened_on, limits=checked.as_row())
    queries.set_autonomous(session, account_id=key, enabled=autonomous, paused_at=None, paused_reason=None)
    opening = {
        "client_id": client.client_id,
        "name": account.name,
        "opened_on": opened_on,
        "initial_cash_usd": cash,
        "taxation": taxation,
        "autonomous": autonomous,
    }
    record(session, actor=actor, action="add", subject="account", subject_id=key, after=opening)
    state = {"version": mandate.version, **checked.as_row()}
    record(session, actor=actor, action="add", subject="mandate", subject_id=key, after=state)
    return account


def change_account(session: Session, *, account_id: int, changes: Mapping[str, Any], actor: str) -> Account:
    """Give the account another `name` or `taxation`."""
    account = require_open_account(session, account_id=account_id, is_locked=True)
    values = dict(changes)
    if "name" in values:
        values["name"] = require_text("name", values["name"])
    if "taxation" in values:
        values["taxation"] = _require_taxation(values["taxation"])
    before = {key: getattr(account, key) for key in values}
    if before == values:
        return account
    if not queries.change_account(session, account=account, values=values):
        raise InputError(f"name is {values['name']!r}, and the client has an account of that name: choose another")
    record(session, actor=actor, action="change", subject="account", subject_id=account_id, before=before, after=values)
    return account


def set_autonomous(
    session: Session, *, account_id: int, enabled: bool, paused_reason: str | None = None, actor: str = "operator"
) -> None:
    """Let the nightly run trade the account without approval, or not; `paused_reason` pauses it while enabled."""
    require_account(session, account_id=account_id)
    standing = queries.find_autonomous_setting(session, account_id=account_id)
    before = None if standing is None else {"enabled": standing.enabled, "paused_reason": standing.paused_reason}
    queries.set_autonomous(
        session,
        account_id=account_id,
        enabled=enabled,
        paused_at=now() if paused_reason else None,
        paused_reason=paused_reason,
    )
    after = {"enabled": enabled, "paused_reason": paused_reason}
    record(
        session, actor=actor, action="change", subject="autonomous", subject_id=account_id, before=before, after=after
    )


def halt(session: Session, *, account_id: int, reason: str, actor: str = "operator") -> Account:
    """Stop all trading of the account until a person resumes it."""
    account = require_open_account(session, account_id=account_id, is_locked=True)
    reason = require_text("reason", reason)
    queries.halt_account(session, account_id=account_id, reason=reason)
    after = {"halted_reason": reason}
    record(session, actor=actor, action="halt", subject="account", subject_id=account_id, after=after)
    return account


def resume(session: Session, *, account_id: int, reason: str | None = None, actor: str = "operator") -> Account:
    """Let a halted account trade again."""
    account = require_account(session, account_id=account_id, is_locked=True)
    if account.status != "halted":
        raise InputError(f"account_id {account_id} is {account.status}, not halted: there is nothing to resume")
    before, after = {"halted_reason": account.halted_reason}, None if reason is None else {"reason": reason}
    queries.resume_account(session, account_id=account_id)
    record(session, actor=actor, action="resume", subject="account", subject_id=account_id, before=before, after=after)
    return account


def require_account(session: Session, *, account_id: int, is_locked: bool = False) -> Account:
    """The account; NotFound where there is none that the caller may see."""
    account = queries.find_account(session, account_id=account_id, is_locked=is_locked)
    if account is None:
        raise NotFound("account", account_id)
    return account


def require_open_account(session: Session, *, account_id: int, is_locked: bool = False) -> Account:
    """The account, where it is not closed."""
    account = require_account(session, account_id=account_id, is_locked=is_locked)
    if account.status == "closed":
        raise Refused(f"account {account_id} was closed on {account.closed_on}: open another")
    return account


def require_cash(value: Decimal | int | str) -> Decimal:
    """An opening deposit in USD, to the cent: nothing, or within the bounds."""
    try:
        cash = money(value)
    except InvalidOperation as error:
        raise InputError(f"initial_cash_usd is {value!r}: give an amount in USD such as 1000000") from error
    if not cash.is_finite() or (cash and not _CASH_USD_MIN <= cash <= CASH_USD_MAX):
        raise InputError(f"initial_cash_usd is {cash}: give between {_CASH_USD_MIN:,} and {CASH_USD_MAX:,} USD, or 0")
    return cash


def _require_taxation(value: str) -> str:
    if value not in TAXATIONS:
        raise UnknownName("taxation", str(value), TAXATIONS)
    return value
