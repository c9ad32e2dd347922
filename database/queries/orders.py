"""Recommendations, their checks, orders and their timeline."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Row, func, select, text
from sqlalchemy import insert as plain_insert
from sqlalchemy.dialects.postgresql import insert

from core.clock import now
from core.errors import Unreachable
from database.session import Session, database_url
from database.tables.orders import Order, OrderEvent, Recommendation


class TargetLeg(NamedTuple):
    """One stock of an account's target; `instrument_id` is None for a target of cash alone."""

    target_id: int
    account_id: int
    instrument_id: int | None
    weight: Decimal


class OrderRow(NamedTuple):
    """An order as trading works with it."""

    order_id: int
    client_order_id: str
    account_id: int
    recommendation_id: int | None
    instrument_id: int
    session_on: date
    side: str
    quantity: Decimal
    filled_quantity: Decimal
    state: str
    broker: str
    broker_order_id: str | None
    changed_at: datetime


class RecommendationRow(NamedTuple):
    """A recommendation as trading works with it."""

    recommendation_id: int
    account_id: int
    target_id: int
    instrument_id: int
    session_on: date
    side: str
    quantity: Decimal
    reference_price: Decimal
    weight_before: Decimal
    weight_after: Decimal
    status: str
    reason: str
    expires_at: datetime | None


_ORDER = tuple(getattr(Order, name) for name in OrderRow._fields)
_RECOMMENDATION = tuple(getattr(Recommendation, name) for name in RecommendationRow._fields)


def target_legs(session: Session, *, account_ids: Collection[int], session_on: date) -> list[TargetLeg]:
    """What the accounts should hold after `session_on`, stock by stock."""
    rows = session.execute(
        text("""
            select t.target_id, t.account_id, w.instrument_id, coalesce(w.weight, 0)
            from targets t left join target_weights w using (target_id)
            where t.account_id = any(:ids) and t.session_on = :session_on order by 2, 3
        """),
        {"ids": list(account_ids), "session_on": session_on},
    )
    return [TargetLeg._make(row) for row in rows]


def targets_with_recommendations(session: Session, *, target_ids: Collection[int]) -> set[int]:
    """Those of `target_ids` that were turned into recommendations before."""
    query = select(Recommendation.target_id).where(Recommendation.target_id.in_(target_ids)).distinct()
    return set(session.scalars(query))


def strategies_of(session: Session, *, target_ids: Collection[int]) -> dict[int, str]:
    """The strategy that each target follows."""
    rows = session.execute(
        text("select target_id, strategy from targets where target_id = any(:ids)"), {"ids": list(target_ids)}
    )
    return {row[0]: row[1] for row in rows}


def insert_recommendations(session: Session, *, rows: Sequence[Mapping[str, Any]]) -> int:
    """Add recommendations; one per target and instrument. Returns how many were new."""
    if not rows:
        return 0
    added = session.execute(
        insert(Recommendation)
        .on_conflict_do_nothing(index_elements=["target_id", "instrument_id"])
        .returning(Recommendation.recommendation_id),
        list(rows),
    )
    return len(added.all())


def recommendations_on(
    session: Session, *, account_ids: Collection[int], session_on: date, statuses: Collection[str] | None = None
) -> list[RecommendationRow]:
    """Recommendations of one session, in the order in which they were proposed (sales first)."""
    query = (
        select(*_RECOMMENDATION)
        .where(Recommendation.account_id.in_(account_ids), Recommendation.session_on == session_on)
        .order_by(Recommendation.account_id, Recommendation.recommendation_id)
    )
    if statuses is not None:
        query = query.where(Recommendation.status.in_(statuses))
    return [RecommendationRow._make(row) for row in session.execute(query)]


def find_recommendations(
    session: Session, *, recommendation_ids: Collection[int], is_locked: bool = False
) -> list[RecommendationRow]:
    """Recommendations by id; locked until the transaction ends where they are about to be changed."""
    query = (
        select(*_RECOMMENDATION)
        .where(Recommendation.recommendation_id.in_(recommendation_ids))
        .order_by(Recommendation.recommendation_id)
    )
    if is_locked:
        query = query.with_for_update()
    return [RecommendationRow._make(row) for row in session.execute(query)]


def decide(
    session: Session,
    *,
    recommendation_ids: Collection[int],
    status: str,
    decided_by: str | None,
    note: str | None = None,
) -> None:
    """Move proposed recommendations on to `status`, with the reason where one was given."""
    session.execute(
        text("""
            update recommendations set status = :status, decided_by = :decided_by, decided_at = :at,
                                       decision_note = :note
            where recommendation_id = any(:ids) and status = 'proposed'
        """),
        {"ids": list(recommendation_ids), "status": status, "decided_by": decided_by, "at": now(), "note": note},
    )


def set_quantity(session: Session, *, recommendation_id: int, quantity: Decimal, weight_after: Decimal) -> None:
    """Another quantity; what the night proposed is kept beside it."""
    session.execute(
        text("""
            update recommendations set proposed_quantity = coalesce(proposed_quantity, quantity),
                                       quantity = :quantity, weight_after = :weight_after
            where recommendation_id = :id and status = 'proposed'
        """),
        {"id": recommendation_id, "quantity": quantity, "weight_after": weight_after},
    )


def expire_due(session: Session) -> int:
    """Proposals whose hour has come, and those of accounts that are closed, are void; returns how many."""
    expired = session.execute(
        text("""
            update recommendations r set status = 'expired', decided_at = :at
            from accounts a
            where a.account_id = r.account_id and r.status = 'proposed'
              and (r.expires_at <= :at or a.status = 'closed') returning 1
        """),
        {"at": now()},
    )
    return len(expired.all())


def decided_today(
    session: Session, *, account_ids: Collection[int], session_on: date, decided_by: str
) -> dict[int, tuple[int, Decimal]]:
    """By account: how many recommendations of a session somebody approved, and their value at reference prices."""
    rows = session.execute(
        text("""
            select account_id, count(*), sum(quantity * reference_price) from recommendations
            where account_id = any(:ids) and session_on = :session_on and status = 'approved'
              and decided_by = :decided_by
            group by 1
        """),
        {"ids": list(account_ids), "session_on": session_on, "decided_by": decided_by},
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def expire_recommendations(session: Session, *, account_ids: Collection[int], before_on: date) -> int:
    """Proposals of sessions before `before_on` that nobody decided on are void; returns how many."""
    expired = session.execute(
        text("""
            update recommendations set status = 'expired', decided_at = :at
            where account_id = any(:ids) and session_on < :before_on and status = 'proposed' returning 1
        """),
        {"ids": list(account_ids), "before_on": before_on, "at": now()},
    )
    return len(expired.all())


def insert_checks(session: Session, *, checks: Sequence[tuple[int, str, bool, str, str, str]]) -> None:
    """Store verdicts: (recommendation_id, rule, passed, measured, allowed, reason); those stored before stay."""
    if not checks:
        return
    columns = list(zip(*checks, strict=True))
    session.execute(
        text("""
            insert into pretrade_checks (recommendation_id, rule, passed, measured, allowed, reason)
            select * from unnest(cast(:a as bigint[]), cast(:b as text[]), cast(:c as boolean[]),
                                 cast(:d as text[]), cast(:e as text[]), cast(:f as text[]))
            on conflict do nothing
        """),
        {name: list(column) for name, column in zip("abcdef", columns, strict=True)},
    )


def replace_checks(session: Session, *, checks: Sequence[tuple[int, str, bool, str, str, str]]) -> None:
    """Store verdicts in the place of those that the same rules gave before."""
    ids = {check[0] for check in checks}
    session.execute(text("delete from pretrade_checks where recommendation_id = any(:ids)"), {"ids": list(ids)})
    insert_checks(session, checks=checks)


def checked_recommendations(session: Session, *, recommendation_ids: Collection[int]) -> set[int]:
    """Those of `recommendation_ids` whose verdicts are stored."""
    rows = session.execute(
        text("select distinct recommendation_id from pretrade_checks where recommendation_id = any(:ids)"),
        {"ids": list(recommendation_ids)},
    )
    return set(rows.scalars())


def refusals_on(session: Session, *, account_ids: Collection[int], session_on: date) -> list[Row[Any]]:
    """account_id, recommendation_id, symbol, side, quantity, rule, reason of every failed check of a session."""
    rows = session.execute(
        text("""
            select r.account_id, r.recommendation_id, i.symbol, r.side, r.quantity, c.rule, c.reason
            from recommendations r
            join pretrade_checks c on c.recommendation_id = r.recommendation_id and not c.passed
            join instruments i using (instrument_id)
            where r.account_id = any(:ids) and r.session_on = :session_on and r.status = 'refused'
            order by 1, 2, c.rule
        """),
        {"ids": list(account_ids), "session_on": session_on},
    )
    return list(rows)


def insert_orders(session: Session, *, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Add orders; ids of those whose client_order_id was not there before."""
    if not rows:
        return []
    added = session.execute(
        insert(Order).on_conflict_do_nothing(index_elements=["client_order_id"]).returning(Order.order_id), list(rows)
    )
    return sorted(added.scalars())


def orders_in(
    session: Session,
    *,
    account_ids: Collection[int],
    states: Collection[str],
    session_on: date | None = None,
    before_on: date | None = None,
) -> list[OrderRow]:
    """Orders in one of `states`, of one session or of those before a date where given; sales first, then by id."""
    query = (
        select(*_ORDER)
        .where(Order.account_id.in_(account_ids), Order.state.in_(states))
        .order_by(Order.side.desc(), Order.order_id)
    )
    if session_on is not None:
        query = query.where(Order.session_on == session_on)
    if before_on is not None:
        query = query.where(Order.session_on < before_on)
    return [OrderRow._make(row) for row in session.execute(query)]


def orders_a_night(session: Session, *, account_ids: Collection[int], session_on: date) -> dict[int, int]:
    """How many orders of one session each account has, in whatever state."""
    query = (
        select(Order.account_id, func.count())
        .where(Order.account_id.in_(account_ids), Order.session_on == session_on)
        .group_by(Order.account_id)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def find_order(session: Session, *, order_id: int) -> OrderRow | None:
    """One order."""
    row = session.execute(select(*_ORDER).where(Order.order_id == order_id)).one_or_none()
    return None if row is None else OrderRow._make(row)


def ask_cancel(session: Session, *, order_id: int, asked_by: str) -> None:
    """Note who wants the order taken back; a wish that was there before stays."""
    session.execute(
        text("""
            update orders set cancel_asked_by = :by, cancel_asked_at = :at
            where order_id = :id and cancel_asked_at is null
        """),
        {"id": order_id, "by": asked_by, "at": now()},
    )


def orders_to_cancel(session: Session, *, order_ids: Collection[int]) -> list[OrderRow]:
    """Those of `order_ids` that somebody wants taken back and that are still at their broker."""
    return _wanted_back(session, order_ids, ("accepted", "partial", "unknown"))


def orders_to_withdraw(session: Session, *, order_ids: Collection[int]) -> list[OrderRow]:
    """Those of `order_ids` that somebody wants taken back and that no broker has."""
    return _wanted_back(session, order_ids, ("intent",))


def _wanted_back(session: Session, order_ids: Collection[int], states: Collection[str]) -> list[OrderRow]:
    query = select(*_ORDER).where(
        Order.order_id.in_(order_ids), Order.cancel_asked_at.is_not(None), Order.state.in_(states)
    )
    return [OrderRow._make(row) for row in session.execute(query.order_by(Order.order_id))]


def orders_of_session(session: Session, *, account_ids: Collection[int], session_on: date) -> dict[int, OrderRow]:
    """The orders of one night by the recommendation that they came from."""
    query = select(*_ORDER).where(Order.account_id.in_(account_ids), Order.session_on == session_on)
    rows = [OrderRow._make(row) for row in session.execute(query)]
    return {row.recommendation_id: row for row in rows if row.recommendation_id is not None}


def orders_by_client_id(session: Session, *, client_order_ids: Collection[str]) -> dict[str, OrderRow]:
    """Orders by our own id."""
    query = select(*_ORDER).where(Order.client_order_id.in_(client_order_ids))
    return {row.client_order_id: OrderRow._make(row) for row in session.execute(query)}


def open_buys_usd(session: Session, *, account_ids: Collection[int]) -> dict[int, Decimal]:
    """Cash at reference prices that orders under way may still take, by account."""
    rows = session.execute(
        text("""
            select o.account_id, sum((o.quantity - o.filled_quantity) * r.reference_price)
            from orders o join recommendations r using (recommendation_id)
            where o.account_id = any(:ids) and o.side = 'buy'
              and o.state in ('planned', 'intent', 'sending', 'accepted', 'partial', 'unknown')
            group by 1
        """),
        {"ids": list(account_ids)},
    )
    return {row[0]: row[1] for row in rows}


def move_orders(session: Session, *, order_ids: Collection[int], from_state: str, to_state: str) -> list[int]:
    """Set the state of those orders that are still in `from_state`; returns their ids."""
    rows = session.execute(
        text("""
            update orders set state = :to_state, changed_at = :at
            where order_id = any(:ids) and state = :from_state returning order_id
        """),
        {"ids": list(order_ids), "from_state": from_state, "to_state": to_state, "at": now()},
    )
    return sorted(rows.scalars())


def set_broker_ids(session: Session, *, pairs: Iterable[tuple[int, str]]) -> None:
    """Note the broker's id of orders: (order_id, broker_order_id)."""
    rows = list(pairs)
    if rows:
        session.execute(
            text("""
                update orders set broker_order_id = x.broker_order_id
                from unnest(cast(:ids as bigint[]), cast(:broker_ids as text[])) as x (order_id, broker_order_id)
                where orders.order_id = x.order_id
            """),
            {"ids": [row[0] for row in rows], "broker_ids": [row[1] for row in rows]},
        )


def set_filled(session: Session, *, pairs: Iterable[tuple[int, Decimal]]) -> None:
    """Set the cumulative filled quantity of orders: (order_id, shares)."""
    rows = list(pairs)
    if rows:
        session.execute(
            text("""
                update orders set filled_quantity = x.filled
                from unnest(cast(:ids as bigint[]), cast(:filled as numeric[])) as x (order_id, filled)
                where orders.order_id = x.order_id
            """),
            {"ids": [row[0] for row in rows], "filled": [row[1] for row in rows]},
        )


def insert_events(session: Session, *, events: Sequence[Mapping[str, Any]]) -> None:
    """Add to the orders' timelines."""
    if events:
        session.execute(plain_insert(OrderEvent).execution_options(render_nulls=True), list(events))


@contextmanager
def sole_sender(book: str, *, wait_s: int = 60) -> Iterator[None]:
    """Let one process at a time carry a book's orders to its brokers; the lock dies with the process that holds it.

    Unreachable where another one is still at it after `wait_s`.
    """
    with psycopg.connect(database_url(), autocommit=True) as connection:
        connection.execute(f"set lock_timeout = '{wait_s}s'")
        try:
            connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (f"acis:sending:{book}",))
        except psycopg.errors.LockNotAvailable as error:
            raise Unreachable(f"another process has been sending the orders of book {book!r} for {wait_s} s") from error
        yield


def first_order_of_session(session: Session, *, session_on: date) -> int | None:
    """The lowest number among the orders of one night."""
    return session.scalar(select(func.min(Order.order_id)).where(Order.session_on == session_on))


def cash_floors(session: Session, *, order_ids: Collection[int]) -> dict[int, Decimal]:
    """Share of the account that must stay cash, by order: of the mandate under which the order was proposed."""
    rows = session.execute(
        text("""
            select o.order_id, m.cash_weight_min
            from orders o join recommendations r using (recommendation_id)
            join targets t using (target_id) join mandates m using (mandate_id)
            where o.order_id = any(:ids)
        """),
        {"ids": list(order_ids)},
    )
    return {row[0]: row[1] for row in rows}
