"""Executions: appended once each, by the broker's own id."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Numeric, Row, func, select, text
from sqlalchemy.dialects.postgresql import insert

from database.paging import Page, read_page
from database.session import Session
from database.tables.accounts import Account
from database.tables.fills import Fill
from database.tables.households import Client
from database.tables.instruments import Instrument
from database.tables.orders import Order, Recommendation
from database.tables.positions import LotClosing
from database.tables.targets import Target


def insert_fills(session: Session, *, fills: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Add executions; fill ids by broker_fill_id of those that were not known before."""
    if not fills:
        return {}
    rows = session.execute(
        insert(Fill)
        .on_conflict_do_nothing(index_elements=["broker_fill_id"])
        .returning(Fill.broker_fill_id, Fill.fill_id),
        list(fills),
    )
    return {row.broker_fill_id: row.fill_id for row in rows}


def fills_of(session: Session, *, order_ids: Collection[int]) -> dict[int, list[Fill]]:
    """Executions of each order, oldest first."""
    found: dict[int, list[Fill]] = {}
    for fill in session.scalars(select(Fill).where(Fill.order_id.in_(order_ids)).order_by(Fill.fill_id)):
        found.setdefault(fill.order_id, []).append(fill)
    return found


def shares_traded_after(
    session: Session, *, account_ids: Collection[int], after_on: date
) -> dict[tuple[int, int], Decimal]:
    """Signed shares that each (account, instrument) traded on sessions after `after_on`."""
    rows = session.execute(
        text("""
            select o.account_id, o.instrument_id,
                   sum(case o.side when 'buy' then f.quantity else -f.quantity end)
            from fills f join orders o using (order_id)
            where f.session_on > :after_on and o.account_id = any(:ids)
            group by 1, 2
        """),
        {"ids": list(account_ids), "after_on": after_on},
    )
    return {(row[0], row[1]): row[2] for row in rows}


@dataclass(frozen=True)
class TradeFilters:
    """What a list of trades is narrowed to; None narrows nothing. Dates are sessions, both included."""

    from_on: date | None = None
    to_on: date | None = None
    client_id: int | None = None
    account_id: int | None = None
    order_id: int | None = None
    symbol: str | None = None
    side: str | None = None
    strategy: str | None = None


def page_of_trades(session: Session, *, filters: TradeFilters, sort: str, limit: int, cursor: str | None) -> Page:
    """Every execution with client, account, stock, cost, gain, order and reason; never a replay's."""
    sorts: dict[str, Any] = {
        "fill_id": Fill.fill_id,
        "session_on": Fill.session_on,
        "client": Client.name,
        "symbol": Instrument.symbol,
        "notional_usd": _NOTIONAL,
    }
    key: Any = Fill.fill_id
    return read_page(session, _trades(filters), sorts=sorts, key=key, sort=sort, limit=limit, cursor=cursor)


def stream_trades(session: Session, *, filters: TradeFilters, rows_at_once: int) -> Iterator[Sequence[Row[Any]]]:
    """The same, all of them in the order of their fills, a batch at a time and never more than that in memory."""
    query = _trades(filters).order_by(Fill.fill_id).execution_options(yield_per=rows_at_once)
    yield from session.execute(query).partitions()


_NOTIONAL: Any = func.round(Fill.quantity * Fill.price, 2, type_=Numeric(20, 2))


def _trades(filters: TradeFilters) -> Any:
    gain = select(func.sum(LotClosing.gain_usd)).where(LotClosing.fill_id == Fill.fill_id).scalar_subquery()
    query: Any = (
        select(
            Fill.fill_id,
            Fill.broker_fill_id,
            Fill.session_on,
            Fill.filled_at,
            Account.client_id,
            Client.name.label("client"),
            Order.account_id,
            Account.name.label("account"),
            Fill.order_id,
            Order.recommendation_id,
            Order.instrument_id,
            Instrument.symbol,
            Instrument.name.label("company"),
            Instrument.sector,
            Order.side,
            Fill.quantity,
            Fill.market_price,
            Fill.price,
            _NOTIONAL.label("notional_usd"),
            Fill.commission_usd,
            Fill.spread_cost_usd,
            Fill.impact_cost_usd,
            (Fill.commission_usd + Fill.spread_cost_usd + Fill.impact_cost_usd).label("cost_usd"),
            gain.label("gain_usd"),
            Target.strategy,
            Recommendation.reason,
            Recommendation.decided_by,
        )
        .select_from(Fill)
        .join(Order, Order.order_id == Fill.order_id)
        .join(Account, Account.account_id == Order.account_id)
        # Every row has these; joined outwardly, the database leaves out those that a count or a sort does not name.
        .outerjoin(Client, Client.client_id == Account.client_id)
        .outerjoin(Instrument, Instrument.instrument_id == Order.instrument_id)
        .outerjoin(Recommendation, Recommendation.recommendation_id == Order.recommendation_id)
        .outerjoin(Target, Target.target_id == Recommendation.target_id)
        .where(Account.kind != "replay")
    )
    if filters.from_on is not None:
        query = query.where(Fill.session_on >= filters.from_on)
    if filters.to_on is not None:
        query = query.where(Fill.session_on <= filters.to_on)
    equal: dict[Any, Any] = {
        Account.client_id: filters.client_id,
        Order.account_id: filters.account_id,
        Fill.order_id: filters.order_id,
        Instrument.symbol: filters.symbol,
        Order.side: filters.side,
        Target.strategy: filters.strategy,
    }
    for column, value in equal.items():
        if value is not None:
            query = query.where(column == value)
    return query
