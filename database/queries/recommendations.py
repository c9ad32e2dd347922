"""Recommendations and orders as people see them: with client and stock, and with what is void by now."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, Text, and_, case, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY, array

from core.clock import now
from database.paging import Page, read_page
from database.queries.positions import OpenLot
from database.session import Session
from database.tables.accounts import Account
from database.tables.fills import Fill
from database.tables.households import Client
from database.tables.instruments import Instrument
from database.tables.orders import Order, OrderEvent, PretradeCheck, Recommendation
from database.tables.positions import AccountValuation, TaxLot
from database.tables.targets import Target

_VALUE: Any = Recommendation.quantity * Recommendation.reference_price


class Holder(NamedTuple):
    """Whose an account is."""

    account_id: int
    account: str
    client_id: int
    client: str
    book: str
    broker: str
    status: str
    taxation: str
    archived_at: datetime | None


class OrderPlace(NamedTuple):
    """Where an order lives, and the session that its account has lived to."""

    order_id: int
    account_id: int
    book: str
    lived_on: date


@dataclass(frozen=True)
class Filters:
    """What a list of recommendations is narrowed to; None narrows nothing. `search` is a part of client or symbol."""

    statuses: Sequence[str] | None = None
    client_id: int | None = None
    account_id: int | None = None
    session_on: date | None = None
    side: str | None = None
    strategy: str | None = None
    symbol: str | None = None
    search: str | None = None
    decided_by: Sequence[str] | None = None


@dataclass(frozen=True)
class OrderFilters:
    """What a list of orders is narrowed to; None narrows nothing. Dates are sessions, both included."""

    states: Sequence[str] | None = None
    order_ids: Sequence[int] | None = None
    from_on: date | None = None
    to_on: date | None = None
    client_id: int | None = None
    account_id: int | None = None
    side: str | None = None
    strategy: str | None = None
    symbol: str | None = None


def shown_status() -> ColumnElement[Any]:
    """The status that counts: a proposal whose hour has come is void, whether or not that is written down yet."""
    return case(
        (and_(Recommendation.status == "proposed", Recommendation.expires_at <= now()), "expired"),
        else_=Recommendation.status,
    )


def holders(session: Session, *, account_ids: Collection[int]) -> dict[int, Holder]:
    """Whose the accounts are."""
    query = (
        select(
            Account.account_id,
            Account.name,
            Account.client_id,
            Client.name,
            Account.book,
            Account.broker,
            Account.status,
            Account.taxation,
            Client.archived_at,
        )
        .join(Client, Client.client_id == Account.client_id)
        .where(Account.account_id.in_(account_ids))
    )
    return {row[0]: Holder._make(row) for row in session.execute(query)}


def accounts_by_id(session: Session, *, account_ids: Collection[int]) -> list[Account]:
    """The accounts, by number."""
    query = select(Account).where(Account.account_id.in_(account_ids)).order_by(Account.account_id)
    return list(session.scalars(query))


def places_of_orders(session: Session, *, order_ids: Collection[int]) -> list[OrderPlace]:
    """Where the orders live."""
    valued_on = (
        select(func.max(AccountValuation.session_on))
        .where(AccountValuation.account_id == Order.account_id)
        .scalar_subquery()
    )
    query = (
        select(
            Order.order_id,
            Order.account_id,
            Account.book,
            func.greatest(Order.session_on, valued_on).label("lived_on"),
        )
        .join(Account, Account.account_id == Order.account_id)
        .where(Order.order_id.in_(order_ids))
    )
    return [OrderPlace._make(row) for row in session.execute(query.order_by(Order.order_id))]


def lots_of(
    session: Session, *, account_ids: Collection[int], instrument_ids: Collection[int]
) -> dict[tuple[int, int], list[OpenLot]]:
    """Open lots by account and instrument, oldest first, as a sale would close them."""
    query = (
        select(
            TaxLot.account_id,
            TaxLot.lot_id,
            TaxLot.instrument_id,
            TaxLot.opened_on,
            TaxLot.remaining,
            TaxLot.remaining_cost_usd,
        )
        .where(TaxLot.account_id.in_(account_ids), TaxLot.instrument_id.in_(instrument_ids), TaxLot.remaining > 0)
        .order_by(TaxLot.opened_on, TaxLot.lot_id)
    )
    found: dict[tuple[int, int], list[OpenLot]] = defaultdict(list)
    for row in session.execute(query):
        found[row.account_id, row.instrument_id].append(OpenLot._make(row[1:]))
    return dict(found)


def page_of_recommendations(session: Session, *, filters: Filters, sort: str, limit: int, cursor: str | None) -> Page:
    """Recommendations with client, account, stock, strategy, order, and the rules that refused; never a replay's."""
    sorts: dict[str, Any] = {
        "recommendation_id": Recommendation.recommendation_id,
        "session_on": Recommendation.session_on,
        "client": Client.name,
        "symbol": Instrument.symbol,
        "value_usd": _VALUE,
        "weight_after": Recommendation.weight_after,
    }
    key: Any = Recommendation.recommendation_id
    return read_page(session, _shown(filters), sorts=sorts, key=key, sort=sort, limit=limit, cursor=cursor)


def find_shown(session: Session, *, recommendation_id: int) -> Row[Any] | None:
    """One recommendation as lists show it."""
    query = _shown(Filters()).where(Recommendation.recommendation_id == recommendation_id)
    found: Row[Any] | None = session.execute(query).one_or_none()
    return found


def _shown(filters: Filters) -> Any:
    failed = (
        select(func.array_agg(PretradeCheck.rule))
        .where(PretradeCheck.recommendation_id == Recommendation.recommendation_id, ~PretradeCheck.passed)
        .scalar_subquery()
    )
    columns: Any = select(
        Recommendation.recommendation_id,
        Recommendation.account_id,
        Account.name.label("account"),
        Account.client_id,
        Client.name.label("client"),
        Recommendation.instrument_id,
        Instrument.symbol,
        Instrument.name.label("company"),
        Instrument.sector,
        Target.strategy,
        Recommendation.session_on,
        Recommendation.side,
        Recommendation.quantity,
        Recommendation.proposed_quantity,
        Recommendation.reference_price,
        _VALUE.label("value_usd"),
        Recommendation.weight_before,
        Recommendation.weight_after,
        Recommendation.reason,
        shown_status().label("status"),
        func.coalesce(failed, cast(array([]), ARRAY(Text))).label("refused_by"),
        Recommendation.decided_by,
        Recommendation.decided_at,
        Recommendation.decision_note,
        Recommendation.expires_at,
        Recommendation.created_at,
        Order.order_id,
        Order.state.label("order_state"),
    )
    return _narrowed(columns, filters).outerjoin(Order, Order.recommendation_id == Recommendation.recommendation_id)


def page_of_orders(session: Session, *, filters: OrderFilters, sort: str, limit: int, cursor: str | None) -> Page:
    """Orders with client, account, stock, strategy and what was filled at which price; never a replay's."""
    sorts: dict[str, Any] = {
        "order_id": Order.order_id,
        "session_on": Order.session_on,
        "changed_at": Order.changed_at,
        "client": Client.name,
        "symbol": Instrument.symbol,
    }
    query = _orders()
    equal: dict[Any, Any] = {
        Account.client_id: filters.client_id,
        Order.account_id: filters.account_id,
        Order.side: filters.side,
        Target.strategy: filters.strategy,
        Instrument.symbol: filters.symbol,
    }
    for column, value in equal.items():
        if value is not None:
            query = query.where(column == value)
    if filters.states:
        query = query.where(Order.state.in_(filters.states))
    if filters.order_ids:
        query = query.where(Order.order_id.in_(filters.order_ids))
    if filters.from_on is not None:
        query = query.where(Order.session_on >= filters.from_on)
    if filters.to_on is not None:
        query = query.where(Order.session_on <= filters.to_on)
    key: Any = Order.order_id
    return read_page(session, query, sorts=sorts, key=key, sort=sort, limit=limit, cursor=cursor)


def find_order_shown(session: Session, *, order_id: int) -> Row[Any] | None:
    """One order as lists show it."""
    found: Row[Any] | None = session.execute(_orders().where(Order.order_id == order_id)).one_or_none()
    return found


def events_of(session: Session, *, order_id: int) -> list[OrderEvent]:
    """The order's timeline, oldest first."""
    query = select(OrderEvent).where(OrderEvent.order_id == order_id).order_by(OrderEvent.event_id)
    return list(session.scalars(query))


def _orders() -> Any:
    paid = func.sum(Fill.quantity * Fill.price) / func.sum(Fill.quantity)
    average = select(paid).where(Fill.order_id == Order.order_id).scalar_subquery()
    return (
        select(
            Order.order_id,
            Order.client_order_id,
            Order.recommendation_id,
            Order.account_id,
            Account.name.label("account"),
            Account.client_id,
            Client.name.label("client"),
            Order.instrument_id,
            Instrument.symbol,
            Instrument.name.label("company"),
            Target.strategy,
            Order.session_on,
            Order.side,
            Order.quantity,
            Order.filled_quantity,
            func.round(average, 4).label("average_price"),
            Recommendation.reference_price,
            Recommendation.decided_by,
            Order.state,
            Order.broker,
            Order.broker_order_id,
            Order.cancel_asked_by,
            Order.cancel_asked_at,
            Order.created_at,
            Order.changed_at,
        )
        .select_from(Order)
        .join(Account, Account.account_id == Order.account_id)
        # Every row has these; joined outwardly, the database leaves out those that a count or a sort does not name.
        .outerjoin(Client, Client.client_id == Account.client_id)
        .outerjoin(Instrument, Instrument.instrument_id == Order.instrument_id)
        .outerjoin(Recommendation, Recommendation.recommendation_id == Order.recommendation_id)
        .outerjoin(Target, Target.target_id == Recommendation.target_id)
        .where(Account.kind != "replay")
    )


def matching_ids(session: Session, *, filters: Filters, limit: int) -> list[int]:
    """Numbers of the recommendations that the filters leave, oldest first, `limit` at most."""
    query = _narrowed(select(Recommendation.recommendation_id), filters)
    return list(session.scalars(query.order_by(Recommendation.recommendation_id).limit(limit)))


def page_of_accounts_waiting(session: Session, *, filters: Filters, limit: int, cursor: str | None) -> Page:
    """Accounts with matching recommendations, by client, each with the numbers of those."""
    ids = func.array_agg(Recommendation.recommendation_id).label("recommendation_ids")
    columns: Any = select(Account.account_id, Client.name.label("client"), ids)
    query = _narrowed(columns, filters).group_by(Account.account_id, Client.client_id)
    sorts: dict[str, Any] = {"client": Client.name}
    key: Any = Account.account_id
    return read_page(session, query, sorts=sorts, key=key, sort="client", limit=limit, cursor=cursor)


def _narrowed(query: Select[Any], filters: Filters) -> Select[Any]:
    query = (
        query.select_from(Recommendation)
        .join(Account, Account.account_id == Recommendation.account_id)
        # Every row has these; joined outwardly, the database leaves out those that a count or a sort does not name.
        .outerjoin(Client, Client.client_id == Account.client_id)
        .outerjoin(Instrument, Instrument.instrument_id == Recommendation.instrument_id)
        .outerjoin(Target, Target.target_id == Recommendation.target_id)
        .where(Account.kind != "replay")
    )
    equal = {
        Account.client_id: filters.client_id,
        Recommendation.account_id: filters.account_id,
        Recommendation.session_on: filters.session_on,
        Recommendation.side: filters.side,
        Target.strategy: filters.strategy,
        Instrument.symbol: filters.symbol,
    }
    for column, value in equal.items():
        if value is not None:
            query = query.where(column == value)
    if filters.statuses:
        query = query.where(shown_status().in_(filters.statuses))
    if filters.decided_by:
        query = query.where(Recommendation.decided_by.in_(filters.decided_by))
    if filters.search:
        query = query.where(
            Client.name.icontains(filters.search, autoescape=True)
            | Instrument.symbol.icontains(filters.search, autoescape=True)
        )
    return query
