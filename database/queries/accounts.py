"""Accounts with their mandates, restrictions and autonomy."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.exc import IntegrityError

from core.clock import now
from database.session import Session
from database.tables.accounts import Account, AutonomousSetting, EsgFlag, Mandate, Restriction
from database.tables.households import Client


def accounts_in_book(session: Session, *, book: str, as_of: date | None = None) -> list[Account]:
    """Accounts of `book` at work, those opened not after `as_of` where given; by id.

    Neither closed ones nor those of archived clients.
    """
    query = (
        select(Account)
        .join(Client, Client.client_id == Account.client_id)
        .where(Account.book == book, Account.status != "closed", Client.archived_at.is_(None))
        .order_by(Account.account_id)
    )
    if as_of is not None:
        query = query.where(Account.opened_on <= as_of)
    return list(session.scalars(query))


def find_account(session: Session, *, account_id: int, is_locked: bool = False) -> Account | None:
    """One account; locked until the transaction ends where it is about to be changed."""
    return session.get(Account, account_id, with_for_update=is_locked, populate_existing=is_locked)


def accounts_seen(session: Session, *, account_ids: Collection[int]) -> list[int]:
    """Those of these accounts that this transaction may see, by number."""
    wanted = select(Account.account_id).where(Account.account_id.in_(account_ids)).order_by(Account.account_id)
    return list(session.scalars(wanted))


def accounts_of_client(session: Session, *, client_id: int, book: str) -> list[Account]:
    """The client's accounts in `book` that are not closed, by id."""
    query = select(Account).where(Account.client_id == client_id, Account.book == book, Account.status != "closed")
    return list(session.scalars(query.order_by(Account.account_id)))


def mandates_on(session: Session, *, account_ids: Collection[int], as_of: date) -> dict[int, Mandate]:
    """The mandate in force on `as_of` of each account: its highest version not effective later."""
    query = (
        select(Mandate)
        .where(Mandate.account_id.in_(account_ids), Mandate.effective_on <= as_of)
        .ext(distinct_on(Mandate.account_id))
        .order_by(Mandate.account_id, Mandate.version.desc())
    )
    return {mandate.account_id: mandate for mandate in session.scalars(query)}


def newest_mandates(session: Session, *, account_ids: Collection[int]) -> dict[int, Mandate]:
    """The highest version of each account, in force already or later."""
    return mandates_on(session, account_ids=account_ids, as_of=date.max)


def mandate_versions(session: Session, *, account_id: int) -> list[Mandate]:
    """Every version of the account's mandate, newest first."""
    query = select(Mandate).where(Mandate.account_id == account_id).order_by(Mandate.version.desc())
    return list(session.scalars(query))


def restrictions_of(session: Session, *, account_ids: Collection[int]) -> dict[int, list[Restriction]]:
    """What each account must not hold."""
    query = (
        select(Restriction)
        .where(Restriction.account_id.in_(account_ids))
        .order_by(Restriction.account_id, Restriction.kind, Restriction.value)
    )
    found: dict[int, list[Restriction]] = defaultdict(list)
    for row in session.scalars(query):
        found[row.account_id].append(row)
    return dict(found)


def restricted_instruments(session: Session, *, account_ids: Collection[int]) -> dict[int, dict[int, str]]:
    """Per account the instruments that it must not hold, each with the restriction that says so."""
    rows = session.execute(
        text("""
            select r.account_id, i.instrument_id, r.kind, r.value
            from restrictions r
            join instruments i on (r.kind = 'ticker' and i.symbol = r.value)
                               or (r.kind = 'sector' and i.sector = r.value)
                               or (r.kind = 'esg' and exists (
                                   select from esg_flags e
                                   where e.instrument_id = i.instrument_id and e.flag = r.value))
            where r.account_id = any(:account_ids)
            order by r.account_id, i.instrument_id, r.kind desc, r.value
        """),
        {"account_ids": list(account_ids)},
    )
    found: dict[int, dict[int, str]] = defaultdict(dict)
    for account_id, instrument_id, kind, value in rows:
        found[account_id].setdefault(instrument_id, f"{kind} {value}")
    return dict(found)


def autonomous_accounts(session: Session, *, account_ids: Collection[int]) -> set[int]:
    """Those of `account_ids` that may trade without an advisor's approval now."""
    query = select(AutonomousSetting.account_id).where(
        AutonomousSetting.account_id.in_(account_ids),
        AutonomousSetting.enabled,
        AutonomousSetting.paused_at.is_(None),
    )
    return set(session.scalars(query))


def find_autonomous_setting(session: Session, *, account_id: int) -> AutonomousSetting | None:
    """The account's autonomous setting."""
    return session.get(AutonomousSetting, account_id)


def autonomous_settings(session: Session, *, account_ids: Collection[int]) -> dict[int, AutonomousSetting]:
    """The autonomous settings of those accounts that have one."""
    rows = session.scalars(select(AutonomousSetting).where(AutonomousSetting.account_id.in_(account_ids)))
    return {row.account_id: row for row in rows}


def set_autonomous_limits(
    session: Session, *, account_id: int, orders_max: int | None, traded_usd_max: Decimal | None
) -> None:
    """How much one night may trade by itself; an account without a setting gets one that is off."""
    values = {"orders_max": orders_max, "traded_usd_max": traded_usd_max, "changed_at": now()}
    session.execute(
        insert(AutonomousSetting)
        .values(account_id=account_id, enabled=False, **values)
        .on_conflict_do_update(index_elements=["account_id"], set_=values)
    )


def add_account(
    session: Session,
    *,
    client_id: int,
    name: str,
    kind: str,
    book: str,
    opened_on: date,
    initial_cash_usd: Decimal,
    taxation: str,
) -> Account | None:
    """A new, active account; its opening deposit is trading's to book. None where the client has one of that name."""
    account = Account(
        client_id=client_id,
        name=name,
        kind=kind,
        book=book,
        opened_on=opened_on,
        initial_cash_usd=initial_cash_usd,
        taxation=taxation,
    )
    try:
        with session.begin_nested():
            session.add(account)
            session.flush()
    except IntegrityError:
        return None
    return account


def change_account(session: Session, *, account: Account, values: Mapping[str, Any]) -> bool:
    """Set columns of the account; False where the client has another of that name."""
    try:
        with session.begin_nested():
            for column, value in values.items():
                setattr(account, column, value)
            session.flush()
    except IntegrityError:
        return False
    return True


def close_account(session: Session, *, account: Account, closed_on: date) -> None:
    """Close the account."""
    account.status, account.closed_on, account.halted_reason = "closed", closed_on, None
    session.flush()


def add_mandate(session: Session, *, account_id: int, effective_on: date, limits: Mapping[str, Any]) -> Mandate:
    """The next version of the account's mandate."""
    latest = session.scalar(select(func.max(Mandate.version)).where(Mandate.account_id == account_id))
    mandate = Mandate(account_id=account_id, version=(latest or 0) + 1, effective_on=effective_on, **limits)
    session.add(mandate)
    session.flush()
    return mandate


def copy_mandate(session: Session, *, mandate: Mandate, account_id: int, effective_on: date) -> None:
    """The same limits as the first mandate of another account."""
    apart = {"mandate_id", "account_id", "version", "effective_on", "created_at"}
    limits = {
        column.key: getattr(mandate, column.key) for column in Mandate.__table__.columns if column.key not in apart
    }
    add_mandate(session, account_id=account_id, effective_on=effective_on, limits=limits)


def set_autonomous(
    session: Session, *, account_id: int, enabled: bool, paused_at: datetime | None, paused_reason: str | None
) -> None:
    """Replace the account's autonomous setting."""
    values = {
        "enabled": enabled,
        "paused_at": paused_at,
        "paused_reason": paused_reason,
        "changed_at": now(),
    }
    session.execute(
        insert(AutonomousSetting)
        .values(account_id=account_id, **values)
        .on_conflict_do_update(index_elements=["account_id"], set_=values)
    )


def add_restriction(session: Session, *, account_id: int, kind: str, value: str, reason: str | None) -> bool:
    """Forbid something to the account; False where it was forbidden already."""
    added = session.execute(
        insert(Restriction)
        .values(account_id=account_id, kind=kind, value=value, reason=reason)
        .on_conflict_do_nothing()
        .returning(Restriction.account_id)
    ).scalar()
    return added is not None


def remove_restriction(session: Session, *, account_id: int, kind: str, value: str) -> bool:
    """Allow it again; False where it was not forbidden."""
    removed = session.execute(
        delete(Restriction)
        .where(Restriction.account_id == account_id, Restriction.kind == kind, Restriction.value == value)
        .returning(Restriction.account_id)
    ).scalar()
    return removed is not None


def replace_esg_flags(session: Session, *, source: str, flags: Sequence[tuple[int, str]]) -> tuple[int, int]:
    """Make `flags` (instrument_id, flag) all that `source` says; returns (added, removed)."""
    standing = {
        (row.instrument_id, row.flag) for row in session.scalars(select(EsgFlag).where(EsgFlag.source == source))
    }
    wanted = set(flags)
    for instrument_id, flag in standing - wanted:
        session.execute(
            delete(EsgFlag).where(
                EsgFlag.instrument_id == instrument_id, EsgFlag.flag == flag, EsgFlag.source == source
            )
        )
    fresh = [
        {"instrument_id": instrument_id, "flag": flag, "source": source}
        for instrument_id, flag in sorted(wanted - standing)
    ]
    if fresh:
        session.execute(insert(EsgFlag).on_conflict_do_nothing(), fresh)
    session.expire_all()
    return len(fresh), len(standing - wanted)


def instrument_ids_by_symbol(session: Session, *, symbols: Collection[str]) -> dict[str, int]:
    """Ids of the symbols that exist."""
    rows = session.execute(
        text("select symbol, instrument_id from instruments where symbol = any(:symbols)"), {"symbols": list(symbols)}
    )
    return {row.symbol: row.instrument_id for row in rows}


def known_sectors(session: Session) -> list[str]:
    """Names of the sectors that instruments carry, sorted."""
    return list(session.scalars(text("select distinct sector from instruments where sector is not null order by 1")))


def known_esg_flags(session: Session) -> list[str]:
    """Names of the ESG flags that were uploaded, sorted."""
    return list(session.scalars(select(EsgFlag.flag).distinct().order_by(EsgFlag.flag)))


def halt_account(session: Session, *, account_id: int, reason: str) -> None:
    """Stop the account's trading; a person must look before it goes on."""
    session.execute(
        update(Account).where(Account.account_id == account_id).values(status="halted", halted_reason=reason)
    )


def resume_account(session: Session, *, account_id: int) -> None:
    """Let a halted account trade again."""
    session.execute(update(Account).where(Account.account_id == account_id).values(status="active", halted_reason=None))
