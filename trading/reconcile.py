"""Broker truth against ours: asks for our orders by our ids, books what was executed, settles what was unknown.

Each account is settled inside a savepoint of its own. Where its books break (an order that differs from ours, more
filled than ordered, lots that do not add up) nothing of it is kept, the account is halted, and the others go on.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from auth.audit import record
from core.clock import now
from core.errors import IntegrityBroken, Unreachable
from core.log import get_logger
from core.money import ZERO
from database.queries import accounts as account_queries
from database.queries import fills as fill_queries
from database.queries import orders as order_queries
from database.queries import positions as position_queries
from database.queries.instruments import instruments_by_id
from database.queries.orders import OrderRow
from database.session import Session
from trading.broker import STATUSES, BrokerOrder, Capabilities, Execution
from trading.brokers import BROKERS
from trading.ledger import BookedFill, book_fills, require_sound_books
from trading.order import AT_BROKER
from trading.timeline import Move, move_orders

_log = get_logger("trading")


@dataclass
class Reconciled:
    """What asking the brokers brought."""

    asked: int = 0
    fills: int = 0
    states: dict[str, int] = field(default_factory=dict)
    halted: dict[int, str] = field(default_factory=dict)


def reconcile(
    session: Session,
    *,
    account_ids: Collection[int],
    as_of: date,
    open_until: date,
    session_on: date | None = None,
    before_on: date | None = None,
    states: Collection[str] = AT_BROKER,
) -> Reconciled:
    """Ask for every order that is at a broker, of one session or of those before a date where given."""
    orders = order_queries.orders_in(
        session, account_ids=account_ids, states=states, session_on=session_on, before_on=before_on
    )
    done = Reconciled(asked=len(orders))
    if not orders:
        return done
    by_broker: dict[str, list[OrderRow]] = defaultdict(list)
    for order in orders:
        by_broker[order.broker].append(order)
    closed = position_queries.last_valued_on(session, account_ids=account_ids)
    symbols = {
        key: row.symbol
        for key, row in instruments_by_id(session, ids={order.instrument_id for order in orders}).items()
    }
    for name, group in by_broker.items():
        broker = BROKERS[name](session, open_until)
        try:
            found = broker.find([order.client_order_id for order in group])
        except Unreachable as error:
            _log.warning("broker unreachable", broker=name, orders=len(group), error=str(error))
            _suspend(session, group, {"error": str(error)})
            continue
        by_account: dict[int, list[OrderRow]] = defaultdict(list)
        for order in group:
            by_account[order.account_id].append(order)
        for account_id, own in by_account.items():
            step = _Step(session, account_id, broker.capabilities, as_of, closed.get(account_id), symbols)
            _settle_or_halt(step, own, found, done)
    return done


@dataclass(frozen=True)
class _Step:
    """What settling one account needs besides its orders."""

    session: Session
    account_id: int
    capabilities: Capabilities
    as_of: date
    closed_on: date | None
    symbols: Mapping[int, str]


def _settle_or_halt(
    step: _Step, orders: Sequence[OrderRow], found: Mapping[str, BrokerOrder], done: Reconciled
) -> None:
    try:
        with step.session.begin_nested():
            fills, states = _settle_account(step, orders, found)
            if fills:
                require_sound_books(step.session, account_id=step.account_id)
    except IntegrityBroken as error:
        halt_account(step.session, account_id=step.account_id, reason=str(error))
        done.halted[step.account_id] = str(error)
        return
    done.fills += fills
    for state in states:
        done.states[state] = done.states.get(state, 0) + 1


def halt_account(session: Session, *, account_id: int, reason: str) -> None:
    """Stop the account's trading, with the broken invariant as the reason, and tell the audit trail."""
    account_queries.halt_account(session, account_id=account_id, reason=reason)
    record(
        session,
        actor="trading",
        action="halt",
        subject="account",
        subject_id=account_id,
        after={"halted_reason": reason},
    )
    _log.error("account halted", account_id=account_id, reason=reason)


def _settle_account(step: _Step, orders: Sequence[OrderRow], found: Mapping[str, BrokerOrder]) -> tuple[int, list[str]]:
    """Book new executions and move the orders; returns the number of new fills and the states come to."""
    moves: list[Move] = []
    rows: list[dict[str, Any]] = []
    for order in orders:
        theirs = found.get(order.client_order_id)
        if theirs is None:
            moves += _absent(step, order)
        else:
            _require_same(order, theirs)
            rows += _fill_rows(order, theirs)
            moves += _moves_to(order, theirs)
    new = fill_queries.insert_fills(step.session, fills=rows)
    _book(step, orders, [row for row in rows if row["broker_fill_id"] in new], new)
    order_queries.set_broker_ids(
        step.session,
        pairs=[
            (order.order_id, found[order.client_order_id].broker_order_id)
            for order in orders
            if order.broker_order_id is None and order.client_order_id in found
        ],
    )
    move_orders(step.session, moves)
    return len(new), [move.to_state for move in moves]


def _book(step: _Step, orders: Sequence[OrderRow], rows: Sequence[dict[str, Any]], ids: Mapping[str, int]) -> None:
    by_id = {order.order_id: order for order in orders}
    filled: dict[int, Decimal] = {}
    fills = []
    for row in rows:
        order = by_id[row["order_id"]]
        filled[order.order_id] = filled.get(order.order_id, order.filled_quantity) + row["quantity"]
        if filled[order.order_id] > order.quantity:
            raise IntegrityBroken(
                f"order {order.order_id} is for {order.quantity} shares, the broker filled {filled[order.order_id]}"
            )
        fills.append(
            BookedFill(
                fill_id=ids[row["broker_fill_id"]],
                broker_fill_id=row["broker_fill_id"],
                instrument_id=order.instrument_id,
                symbol=step.symbols[order.instrument_id],
                side=order.side,
                session_on=row["session_on"],
                quantity=row["quantity"],
                price=row["price"],
                commission_usd=row["commission_usd"],
            )
        )
    order_queries.set_filled(step.session, pairs=filled.items())
    book_fills(step.session, account_id=step.account_id, fills=fills, closed_on=step.closed_on)


def _require_same(order: OrderRow, theirs: BrokerOrder) -> None:
    ours = (order.instrument_id, order.side, order.quantity)
    if ours != (theirs.instrument_id, theirs.side, theirs.quantity):
        raise IntegrityBroken(
            f"order {order.order_id} is {order.side} {order.quantity} of instrument {order.instrument_id}; the broker"
            f" has {theirs.side} {theirs.quantity} of instrument {theirs.instrument_id} under its id"
        )


def _fill_rows(order: OrderRow, theirs: BrokerOrder) -> list[dict[str, Any]]:
    return [
        {
            "broker_fill_id": execution.broker_fill_id,
            "order_id": order.order_id,
            "session_on": execution.session_on,
            "filled_at": execution.filled_at,
            "quantity": execution.quantity,
            "market_price": execution.market_price,
            "price": execution.price,
            "commission_usd": execution.commission_usd,
            "spread_cost_usd": execution.spread_cost_usd,
            "impact_cost_usd": execution.impact_cost_usd,
        }
        for execution in _executions(theirs)
    ]


def _executions(theirs: BrokerOrder) -> list[Execution]:
    """Each execution once, however often the broker reports it."""
    return list({execution.broker_fill_id: execution for execution in theirs.executions}.values())


def _moves_to(order: OrderRow, theirs: BrokerOrder) -> list[Move]:
    """The steps from our state to the broker's; a status that nobody knows is kept raw and becomes `unknown`."""
    filled = sum((execution.quantity for execution in _executions(theirs)), ZERO)
    evidence = {"status": theirs.status, "filled": str(filled), **theirs.raw}
    state = order.state
    moves = []
    if state == "sending":
        moves.append(Move(order.order_id, "sending", "unknown", {"reason": "found in flight, without an answer"}))
        state = "unknown"
    if theirs.status not in STATUSES:
        return moves if state == "unknown" else [*moves, Move(order.order_id, state, "unknown", evidence)]
    if theirs.status in {"canceled", "expired"} and filled > order.filled_quantity and state != "partial":
        moves.append(Move(order.order_id, state, "partial", evidence))
        state = "partial"
    if state != theirs.status or filled > order.filled_quantity:
        moves.append(Move(order.order_id, state, theirs.status, evidence))
    return moves


def _absent(step: _Step, order: OrderRow) -> list[Move]:
    """The broker does not know our id: proof for an order that was never recorded there, an alarm for another."""
    if order.state in {"accepted", "partial"}:
        return [Move(order.order_id, order.state, "unknown", {"reason": "the broker no longer finds it"})]
    moves = []
    if order.state == "sending":
        moves.append(Move(order.order_id, "sending", "unknown", {"reason": "found in flight, without an answer"}))
    wait_s = step.capabilities.absence_proof_s
    age_s = (now() - order.changed_at).total_seconds()
    never_there = wait_s is not None and age_s >= wait_s and order.broker_order_id is None
    if never_there and order.session_on < step.as_of:
        evidence = {"reason": "the broker never had it, and its session has passed"}
        return [*moves, Move(order.order_id, "unknown", "expired", evidence)]
    if never_there and step.capabilities.remembers_client_ids:
        evidence = {"reason": f"the broker does not know the id {age_s:.0f} s after the send"}
        return [*moves, Move(order.order_id, "unknown", "intent", evidence)]
    return moves


def _suspend(session: Session, orders: Sequence[OrderRow], evidence: dict[str, Any]) -> None:
    move_orders(
        session, [Move(order.order_id, "sending", "unknown", evidence) for order in orders if order.state == "sending"]
    )
