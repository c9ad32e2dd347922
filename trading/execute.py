"""Sends orders: claim and commit, call the broker, record the answer. Nothing is ever sent blindly twice.

The three parts are three transactions of the door. A process that dies after the claim leaves orders in `sending`;
the next run asks the broker for our ids before it does anything else (`trading.reconcile`).
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from core.errors import Unreachable
from core.log import get_logger
from database.queries import orders as queries
from database.session import Session
from trading.broker import Answer, Ticket
from trading.brokers import BROKERS
from trading.timeline import Move, move_orders

_log = get_logger("trading")


@dataclass(frozen=True)
class Claim:
    """Orders of one broker that this process, and no other, is about to send; sales first."""

    broker: str
    as_of: date
    tickets: tuple[Ticket, ...]


def claim(session: Session, *, account_ids: Collection[int], as_of: date) -> list[Claim]:
    """Move the night's approved orders to `sending`; the door commits before anything is sent."""
    orders = queries.orders_in(session, account_ids=account_ids, states=("intent",), session_on=as_of)
    move_orders(session, [Move(order.order_id, "intent", "sending") for order in orders])
    tickets: dict[str, list[Ticket]] = defaultdict(list)
    for order in orders:
        tickets[order.broker].append(
            Ticket(
                client_order_id=order.client_order_id,
                account_id=order.account_id,
                instrument_id=order.instrument_id,
                side=order.side,
                quantity=order.quantity,
            )
        )
    return [Claim(broker, as_of, tuple(group)) for broker, group in tickets.items()]


def send(session: Session, *, claims: Sequence[Claim]) -> list[Answer]:
    """Call the brokers; writes nothing. A broker that does not answer leaves its orders unknown, not failed."""
    answers: list[Answer] = []
    for one in claims:
        try:
            answers += BROKERS[one.broker](session, one.as_of).submit(one.tickets)
        except Unreachable as error:
            _log.warning("broker unreachable", broker=one.broker, orders=len(one.tickets), error=str(error))
            answers += [Answer(ticket.client_order_id, "unknown", raw={"error": str(error)}) for ticket in one.tickets]
    return answers


def record(session: Session, *, answers: Sequence[Answer]) -> dict[str, int]:
    """Write the answers down; returns how many orders were accepted, rejected and unknown.

    An order that has left `sending` already (a repeated delivery of the same answers) stays as it is.
    """
    orders = queries.orders_by_client_id(session, client_order_ids=[answer.client_order_id for answer in answers])
    counts = {"accepted": 0, "rejected": 0, "unknown": 0}
    moves, broker_ids = [], []
    for answer in answers:
        order = orders[answer.client_order_id]
        if order.state != "sending":
            continue
        status = answer.status if answer.status in counts else "unknown"
        counts[status] += 1
        evidence = {"status": answer.status, "broker_order_id": answer.broker_order_id, **answer.raw}
        moves.append(Move(order.order_id, "sending", status, evidence))
        if answer.broker_order_id is not None:
            broker_ids.append((order.order_id, answer.broker_order_id))
    move_orders(session, moves)
    queries.set_broker_ids(session, pairs=broker_ids)
    return counts
