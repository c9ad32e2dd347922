"""The lists of a practice, page by page: households, clients and accounts, each with how they stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    FromClause,
    Integer,
    Numeric,
    Row,
    Select,
    and_,
    case,
    cast,
    exists,
    func,
    or_,
    select,
    true,
)

from database.paging import Page, read_page
from database.session import Session
from database.tables.accounts import Account, AutonomousSetting, Mandate
from database.tables.households import AdvisorAssignment, Client, Household
from database.tables.standings import AccountStanding

Sorts = Mapping[str, ColumnElement[Any]]


@dataclass(frozen=True)
class HouseholdFilter:
    """Which households are listed; None asks for nothing."""

    search: str | None = None
    household_id: int | None = None
    is_archived: bool | None = None


@dataclass(frozen=True)
class ClientFilter:
    """Which clients are listed; None asks for nothing. `on` is the day on which `advisor_id` looks after them."""

    search: str | None = None
    client_id: int | None = None
    household_id: int | None = None
    advisor_id: int | None = None
    on: date | None = None
    risk_tolerance: str | None = None
    drift_min: Decimal | None = None
    is_off_plan: bool | None = None
    is_archived: bool | None = None


@dataclass(frozen=True)
class AccountFilter:
    """Which accounts are listed; None asks for nothing."""

    search: str | None = None
    account_id: int | None = None
    client_id: int | None = None
    household_id: int | None = None
    status: str | None = None
    taxation: str | None = None
    is_autonomous: bool | None = None
    is_off_plan: bool | None = None


def page_households(
    session: Session, *, book: str, wanted: HouseholdFilter, sort: str, limit: int, cursor: str | None
) -> Page:
    """Households with how many clients and accounts they have, and what those are worth together."""
    query, sorts = _households(book, wanted)
    key = Household.household_id.expression
    return read_page(session, query, sorts=sorts, key=key, sort=sort, limit=limit, cursor=cursor)


def household_row(session: Session, *, book: str, household_id: int) -> Row[Any] | None:
    """One household as the list shows it."""
    query, _ = _households(book, HouseholdFilter(household_id=household_id))
    return session.execute(query).one_or_none()


def page_clients(
    session: Session, *, book: str, wanted: ClientFilter, sort: str, limit: int, cursor: str | None
) -> Page:
    """Clients with how their open accounts stand together."""
    query, sorts = _clients(book, wanted)
    key = Client.client_id.expression
    return read_page(session, query, sorts=sorts, key=key, sort=sort, limit=limit, cursor=cursor)


def client_row(session: Session, *, book: str, client_id: int) -> Row[Any] | None:
    """One client as the list shows them."""
    query, _ = _clients(book, ClientFilter(client_id=client_id))
    return session.execute(query).one_or_none()


def page_accounts(
    session: Session, *, book: str, wanted: AccountFilter, sort: str, limit: int, cursor: str | None
) -> Page:
    """Accounts with how they stand."""
    query, sorts = _accounts(book, wanted)
    key = Account.account_id.expression
    return read_page(session, query, sorts=sorts, key=key, sort=sort, limit=limit, cursor=cursor)


def account_row(session: Session, *, account_id: int) -> Row[Any] | None:
    """One account of whatever book, as the list shows it."""
    query, _ = _accounts(None, AccountFilter(account_id=account_id))
    return session.execute(query).one_or_none()


def _households(book: str, wanted: HouseholdFilter) -> tuple[Select[Any], Sorts]:
    standing = _standings(book)
    member = (
        select(
            func.count(Client.client_id).label("clients"),
            cast(func.coalesce(func.sum(standing.c.accounts), 0), BigInteger).label("accounts"),
            func.sum(standing.c.value_usd).label("value_usd"),
        )
        .select_from(Client)
        .outerjoin(standing, true())
        .where(Client.household_id == Household.household_id, Client.archived_at.is_(None))
        .correlate(Household)
        .lateral("member")
    )
    columns: list[Any] = [
        Household.household_id,
        Household.name,
        Household.note,
        Household.created_at,
        Household.archived_at,
        member.c.clients,
        member.c.accounts,
        member.c.value_usd,
    ]
    query = select(*columns).select_from(Household).outerjoin(member, true())
    if wanted.search:
        query = query.where(Household.name.icontains(wanted.search, autoescape=True))
    if wanted.household_id is not None:
        query = query.where(Household.household_id == wanted.household_id)
    if wanted.is_archived is not None:
        query = query.where(Household.archived_at.is_not(None) == wanted.is_archived)
    return query, {
        "name": Household.name.expression,
        "clients": member.c.clients,
        "value_usd": member.c.value_usd,
        "created_at": Household.created_at.expression,
    }


def _clients(book: str, wanted: ClientFilter) -> tuple[Select[Any], Sorts]:
    standing = _standings(book)
    columns: list[Any] = [
        Client.client_id,
        Client.household_id,
        Client.name,
        Household.name.label("household"),
        Client.email,
        Client.phone,
        Client.note,
        Client.risk_tolerance,
        Client.reviewed_on,
        Client.created_at,
        Client.archived_at,
        standing.c.accounts,
        standing.c.autonomous_accounts,
        *(standing.c[name] for name in _MEASURES),
    ]
    query = select(*columns).join(Household, Household.household_id == Client.household_id).outerjoin(standing, true())
    if wanted.search:
        words = (Client.name, Household.name, Client.email)
        query = query.where(or_(*(word.icontains(wanted.search, autoescape=True) for word in words)))
    for column, value in (
        (Client.client_id, wanted.client_id),
        (Client.household_id, wanted.household_id),
        (Client.risk_tolerance, wanted.risk_tolerance),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.advisor_id is not None:
        query = query.where(_looked_after(wanted.advisor_id, wanted.on))
    if wanted.drift_min is not None:
        query = query.where(standing.c.drift >= wanted.drift_min)
    if wanted.is_off_plan is not None:
        query = query.where(func.coalesce(standing.c.off_plan_count > 0, False) == wanted.is_off_plan)
    if wanted.is_archived is not None:
        query = query.where(Client.archived_at.is_not(None) == wanted.is_archived)
    return query, {
        "name": Client.name.expression,
        "household": Household.name.expression,
        "risk_tolerance": Client.risk_tolerance.expression,
        "reviewed_on": Client.reviewed_on.expression,
        "created_at": Client.created_at.expression,
        "accounts": standing.c.accounts,
        **{name: standing.c[name] for name in _MEASURES if name != "session_on"},
    }


def _looked_after(advisor_id: int, on: date | None) -> ColumnElement[bool]:
    spell = AdvisorAssignment
    return exists().where(
        spell.client_id == Client.client_id,
        spell.advisor_id == advisor_id,
        spell.start_on <= on,
        or_(spell.end_on.is_(None), spell.end_on > on),
    )


def _accounts(book: str | None, wanted: AccountFilter) -> tuple[Select[Any], Sorts]:
    standing, setting = AccountStanding, AutonomousSetting
    mandate_version = (
        select(func.max(Mandate.version)).where(Mandate.account_id == Account.account_id).scalar_subquery()
    )
    autonomous = func.coalesce(and_(setting.enabled, setting.paused_at.is_(None)), False, type_=Boolean)
    query: Select[Any] = (
        select(
            Account,
            Client.name.label("client"),
            Client.household_id,
            Household.name.label("household"),
            autonomous.label("is_autonomous"),
            setting.paused_reason,
            mandate_version.label("mandate_version"),
            standing.session_on,
            standing.value_usd,
            standing.cash_usd,
            standing.day_change_usd,
            standing.year_return,
            standing.drift,
            standing.off_plan_count,
            standing.health_score,
        )
        .join(Client, Client.client_id == Account.client_id)
        .join(Household, Household.household_id == Client.household_id)
        .outerjoin(setting, setting.account_id == Account.account_id)
        .outerjoin(standing, standing.account_id == Account.account_id)
    )
    if book is not None:
        query = query.where(Account.book == book)
    if wanted.search:
        words = (Account.name, Client.name, Household.name)
        query = query.where(or_(*(word.icontains(wanted.search, autoescape=True) for word in words)))
    for column, value in (
        (Account.account_id, wanted.account_id),
        (Account.client_id, wanted.client_id),
        (Client.household_id, wanted.household_id),
        (Account.status, wanted.status),
        (Account.taxation, wanted.taxation),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.is_autonomous is not None:
        query = query.where(autonomous == wanted.is_autonomous)
    if wanted.is_off_plan is not None:
        query = query.where(func.coalesce(standing.off_plan_count > 0, False) == wanted.is_off_plan)
    return query, {
        "name": Account.name.expression,
        "client": Client.name.expression,
        "household": Household.name.expression,
        "opened_on": Account.opened_on.expression,
        "status": Account.status.expression,
        "value_usd": standing.value_usd.expression,
        "cash_usd": standing.cash_usd.expression,
        "day_change_usd": standing.day_change_usd.expression,
        "year_return": standing.year_return.expression,
        "drift": standing.drift.expression,
        "health_score": standing.health_score.expression,
    }


_MEASURES = (
    "session_on",
    "value_usd",
    "cash_usd",
    "day_change_usd",
    "year_return",
    "drift",
    "off_plan_count",
    "health_score",
)


def _standings(book: str) -> FromClause:
    """How the open accounts of the client at hand stand together.

    Value and cash are known when every account's are. Return, drift and health are means over the accounts whose own
    is known, weighted by value; the day's change is the sum of those known. Asked client by client, by index: how many
    rows the policies let through cannot be estimated, and a plan for one row would add all clients up once for each.
    """
    standing = AccountStanding
    known = func.count(standing.account_id) == func.count()

    def mean(measure: Any) -> ColumnElement[Any]:
        weights = func.sum(case((measure.is_not(None), standing.value_usd)))
        return cast(func.sum(measure * standing.value_usd) / func.nullif(weights, 0), Numeric(12, 8))

    free = and_(AutonomousSetting.enabled, AutonomousSetting.paused_at.is_(None))
    return (
        select(
            func.count().label("accounts"),
            func.count().filter(free).label("autonomous_accounts"),
            func.max(standing.session_on, type_=Date).label("session_on"),
            case((known, func.sum(standing.value_usd))).label("value_usd"),
            case((known, func.sum(standing.cash_usd))).label("cash_usd"),
            func.sum(standing.day_change_usd).label("day_change_usd"),
            mean(standing.year_return).label("year_return"),
            mean(standing.drift).label("drift"),
            cast(func.sum(standing.off_plan_count), Integer).label("off_plan_count"),
            cast(mean(standing.health_score), Numeric(5, 1)).label("health_score"),
        )
        .select_from(Account)
        .outerjoin(standing, standing.account_id == Account.account_id)
        .outerjoin(AutonomousSetting, AutonomousSetting.account_id == Account.account_id)
        .where(Account.client_id == Client.client_id, Account.book == book, Account.status != "closed")
        .correlate(Client)
        .lateral("standing")
    )
