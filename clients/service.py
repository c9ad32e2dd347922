"""Verbs on households, clients, accounts, mandates and restrictions; each change is audited in its transaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from auth.audit import record
from clients.mandate import DEFAULT_LIMITS, RISK_TOLERANCES, changed_limits, limits_of
from clients.practice import PAPER_BOOK, practice_date
from core.clock import now
from core.errors import InputError, UnknownName
from core.money import money
from database.queries import accounts as account_queries
from database.queries import households as household_queries
from database.session import Session
from database.tables.accounts import Account

__all__ = ["PAPER_BOOK", "practice_date"]
RESTRICTION_KINDS = ("ticker", "sector", "esg")
_CASH_USD_MIN = Decimal("10000.00")
_CASH_USD_MAX = Decimal("1000000000.00")

SAMPLE_STRATEGIES = ("momentum_largecap",)


@dataclass(frozen=True)
class ClientAccount:
    """One client's account as a person reads it."""

    household: str
    client: str
    client_id: int
    account_id: int
    account: str
    book: str
    status: str
    risk_tolerance: str
    opened_on: date
    initial_cash_usd: Decimal
    autonomous: bool
    mandate_version: int
    mandate: dict[str, Any]
    restrictions: list[str]


@dataclass(frozen=True)
class FlagUpload:
    """What an upload of ESG flags changed."""

    added: int
    removed: int
    unknown_symbols: list[str]


def add_client(
    session: Session,
    *,
    household: str,
    name: str,
    opened_on: date,
    risk_tolerance: str = "balanced",
    initial_cash_usd: Decimal | int | str = "1000000",
    email: str | None = None,
    limits: Mapping[str, Any] | None = None,
    known_strategies: Collection[str] = (),
    autonomous: bool = True,
    actor: str = "operator",
) -> Account:
    """A client with a paper account, its first mandate and its autonomous setting.

    The household is made where its name is new. `limits` changes single limits of the risk tolerance's default
    mandate; a preferred strategy must be one of `known_strategies`. The opening deposit is booked by
    `trading.service.open_paper_account`. Raises InputError naming field, value and remedy.
    """
    name, household = _text("name", name), _text("household", household)
    if risk_tolerance not in RISK_TOLERANCES:
        raise UnknownName("risk tolerance", risk_tolerance, RISK_TOLERANCES)
    if household_queries.find_client(session, name=name) is not None:
        raise InputError(f"name is {name!r}, and a client of that name exists: choose another name")
    cash = _cash(initial_cash_usd)
    checked = changed_limits(DEFAULT_LIMITS[risk_tolerance], limits or {}, known_strategies=known_strategies)
    home = household_queries.find_household(session, name=household)
    if home is None:
        home = household_queries.add_household(session, name=household)
        after = {"name": household}
        record(session, actor=actor, action="add", subject="household", subject_id=home.household_id, after=after)
    client = household_queries.add_client(
        session, household_id=home.household_id, name=name, email=email, risk_tolerance=risk_tolerance
    )
    account = account_queries.add_account(
        session,
        client_id=client.client_id,
        name=name,
        kind="paper",
        book=PAPER_BOOK,
        opened_on=opened_on,
        initial_cash_usd=cash,
    )
    mandate = account_queries.add_mandate(
        session, account_id=account.account_id, effective_on=opened_on, limits=checked.as_row()
    )
    account_queries.set_autonomous(
        session, account_id=account.account_id, enabled=autonomous, paused_at=None, paused_reason=None
    )
    state = {"household": household, "name": name, "risk_tolerance": risk_tolerance, "autonomous": autonomous}
    record(session, actor=actor, action="add", subject="client", subject_id=client.client_id, after=state)
    opening = {"client_id": client.client_id, "opened_on": opened_on, "initial_cash_usd": cash}
    record(session, actor=actor, action="add", subject="account", subject_id=account.account_id, after=opening)
    record(
        session,
        actor=actor,
        action="add",
        subject="mandate",
        subject_id=account.account_id,
        after={"version": mandate.version, **checked.as_row()},
    )
    return account


def sample_clients(session: Session, *, opened_on: date, actor: str = "sample") -> list[Account]:
    """The demo's three households, made-up people with typical mandates; those that exist already stay as they are.

    Needs the instruments loaded (one client excludes a ticker and a sector). Opening deposits are booked by
    `trading.service.open_paper_account`.
    """
    return [
        _sample_client(
            session,
            household="Alder household",
            name="Ruth Alder",
            risk_tolerance="conservative",
            opened_on=opened_on,
            actor=actor,
            restrictions=(("ticker", "MO", "no tobacco"), ("sector", "Energy", "works in the industry")),
        ),
        _sample_client(
            session,
            household="Birch household",
            name="Tomas Birch",
            risk_tolerance="balanced",
            opened_on=opened_on,
            actor=actor,
        ),
        _sample_client(
            session,
            household="Cedar household",
            name="Imani Cedar",
            risk_tolerance="growth",
            opened_on=opened_on,
            actor=actor,
            limits={"preferred_strategy": "momentum_largecap"},
        ),
    ]


def _sample_client(
    session: Session,
    *,
    household: str,
    name: str,
    risk_tolerance: str,
    opened_on: date,
    actor: str,
    limits: Mapping[str, Any] | None = None,
    restrictions: Sequence[tuple[str, str, str]] = (),
) -> Account:
    standing = household_queries.find_client(session, name=name)
    if standing is not None:
        return household_queries.first_account(session, client_id=standing.client_id, book=PAPER_BOOK)
    account = add_client(
        session,
        household=household,
        name=name,
        risk_tolerance=risk_tolerance,
        opened_on=opened_on,
        limits=limits,
        known_strategies=SAMPLE_STRATEGIES,
        actor=actor,
    )
    for kind, value, reason in restrictions:
        restrict(session, account_id=account.account_id, kind=kind, value=value, reason=reason, actor=actor)
    return account


def list_clients(session: Session, *, book: str = PAPER_BOOK) -> list[ClientAccount]:
    """Every account of `book` with its newest mandate and its restrictions, by household and client."""
    rows = household_queries.client_accounts(session, book=book)
    ids = [row.Account.account_id for row in rows]
    mandates = account_queries.newest_mandates(session, account_ids=ids)
    restrictions = account_queries.restrictions_of(session, account_ids=ids)
    return [
        ClientAccount(
            household=row.Household.name,
            client=row.Client.name,
            client_id=row.Client.client_id,
            account_id=row.Account.account_id,
            account=row.Account.name,
            book=row.Account.book,
            status=row.Account.status,
            risk_tolerance=row.Client.risk_tolerance,
            opened_on=row.Account.opened_on,
            initial_cash_usd=row.Account.initial_cash_usd,
            autonomous=row.AutonomousSetting is not None
            and row.AutonomousSetting.enabled
            and row.AutonomousSetting.paused_at is None,
            mandate_version=mandates[row.Account.account_id].version,
            mandate=limits_of(mandates[row.Account.account_id]).as_row(),
            restrictions=[f"{item.kind} {item.value}" for item in restrictions.get(row.Account.account_id, [])],
        )
        for row in rows
    ]


def change_mandate(
    session: Session,
    *,
    account_id: int,
    effective_on: date,
    changes: Mapping[str, Any],
    known_strategies: Collection[str] = (),
    actor: str = "operator",
) -> int:
    """A new version of the mandate from `effective_on` on; returns its number. No change in effect: the same number."""
    _account(session, account_id)
    standing = account_queries.newest_mandates(session, account_ids=[account_id])[account_id]
    before = limits_of(standing)
    known = {*known_strategies, *([before.preferred_strategy] if before.preferred_strategy else [])}
    after = changed_limits(before, changes, known_strategies=known)
    if after == before:
        return standing.version
    if effective_on < standing.effective_on:
        raise InputError(
            f"effective_on is {effective_on}, before version {standing.version} of {standing.effective_on}:"
            " a mandate is changed forwards, choose a later date"
        )
    mandate = account_queries.add_mandate(
        session, account_id=account_id, effective_on=effective_on, limits=after.as_row()
    )
    record(
        session,
        actor=actor,
        action="change",
        subject="mandate",
        subject_id=account_id,
        before={"version": standing.version, **before.as_row()},
        after={"version": mandate.version, "effective_on": effective_on, **after.as_row()},
    )
    return mandate.version


def restrict(
    session: Session, *, account_id: int, kind: str, value: str, reason: str | None = None, actor: str = "operator"
) -> bool:
    """Forbid a ticker, a sector or an ESG flag to the account; False where it was forbidden already."""
    _account(session, account_id)
    value = _restriction_value(session, kind, value)
    added = account_queries.add_restriction(session, account_id=account_id, kind=kind, value=value, reason=reason)
    if added:
        after = {"kind": kind, "value": value, "reason": reason}
        record(session, actor=actor, action="add", subject="restriction", subject_id=account_id, after=after)
    return added


def lift_restriction(session: Session, *, account_id: int, kind: str, value: str, actor: str = "operator") -> bool:
    """Allow it again; False where it was not forbidden."""
    _account(session, account_id)
    if kind == "ticker":
        value = value.strip().upper()
    removed = account_queries.remove_restriction(session, account_id=account_id, kind=kind, value=value)
    if removed:
        before = {"kind": kind, "value": value}
        record(session, actor=actor, action="remove", subject="restriction", subject_id=account_id, before=before)
    return removed


def set_autonomous(
    session: Session, *, account_id: int, enabled: bool, paused_reason: str | None = None, actor: str = "operator"
) -> None:
    """Let the nightly run trade the account without approval, or not; `paused_reason` pauses it while enabled."""
    _account(session, account_id)
    standing = account_queries.find_autonomous_setting(session, account_id=account_id)
    before = None if standing is None else {"enabled": standing.enabled, "paused_reason": standing.paused_reason}
    account_queries.set_autonomous(
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


def halt(session: Session, *, account_id: int, reason: str, actor: str = "operator") -> None:
    """Stop all trading of the account until a person resumes it."""
    _account(session, account_id)
    account_queries.halt_account(session, account_id=account_id, reason=_text("reason", reason))
    record(
        session, actor=actor, action="halt", subject="account", subject_id=account_id, after={"halted_reason": reason}
    )


def resume(session: Session, *, account_id: int, actor: str = "operator") -> None:
    """Let a halted account trade again."""
    account = _account(session, account_id)
    if account.status != "halted":
        raise InputError(f"account_id {account_id} is {account.status}, not halted: there is nothing to resume")
    before = {"halted_reason": account.halted_reason}
    account_queries.resume_account(session, account_id=account_id)
    record(session, actor=actor, action="resume", subject="account", subject_id=account_id, before=before)


def upload_esg_flags(
    session: Session, *, source: str, flags: Sequence[tuple[str, str]], actor: str = "operator"
) -> FlagUpload:
    """Replace all flags of `source` by `flags` (symbol, flag); symbols that no instrument carries are told."""
    pairs = [(symbol.strip().upper().replace(".", "-"), _text("flag", flag)) for symbol, flag in flags]
    ids = account_queries.instrument_ids_by_symbol(session, symbols={symbol for symbol, _ in pairs})
    unknown = sorted({symbol for symbol, _ in pairs if symbol not in ids})
    added, removed = account_queries.replace_esg_flags(
        session,
        source=_text("source", source),
        flags=[(ids[symbol], flag) for symbol, flag in pairs if symbol in ids],
    )
    if added or removed:
        after = {"added": added, "removed": removed, "unknown_symbols": unknown}
        record(session, actor=actor, action="upload", subject="esg_flags", subject_id=source, after=after)
    return FlagUpload(added=added, removed=removed, unknown_symbols=unknown)


def _account(session: Session, account_id: int) -> Account:
    account = account_queries.find_account(session, account_id=account_id)
    if account is None:
        known = [str(row.account_id) for row in account_queries.accounts_in_book(session, book=PAPER_BOOK)]
        raise UnknownName("account", str(account_id), known)
    return account


def _text(field: str, value: str) -> str:
    stripped = value.strip()
    if not stripped:
        raise InputError(f"{field} is empty: give a name")
    if len(stripped) > 200:
        raise InputError(f"{field} has {len(stripped)} characters: give at most 200")
    return stripped


def _cash(value: Decimal | int | str) -> Decimal:
    try:
        cash = money(value)
    except InvalidOperation as error:
        raise InputError(f"initial_cash_usd is {value!r}: give an amount in USD such as 1000000") from error
    if not _CASH_USD_MIN <= cash <= _CASH_USD_MAX:
        raise InputError(f"initial_cash_usd is {cash}: give between {_CASH_USD_MIN:,} and {_CASH_USD_MAX:,} USD")
    return cash


def _restriction_value(session: Session, kind: str, value: str) -> str:
    if kind not in RESTRICTION_KINDS:
        raise UnknownName("restriction kind", kind, RESTRICTION_KINDS)
    value = _text("value", value)
    if kind == "ticker":
        value = value.upper().replace(".", "-")
        if not account_queries.instrument_ids_by_symbol(session, symbols=[value]):
            raise InputError(f"value is {value!r}, and no instrument has that ticker: check its spelling (BRK-B)")
    elif kind == "sector":
        sectors = account_queries.known_sectors(session)
        found = [sector for sector in sectors if sector.lower() == value.lower()]
        if not found:
            raise UnknownName("sector", value, sectors)
        value = found[0]
    return value
