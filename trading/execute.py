"""Sends orders: claim and commit, call the broker, record the answer. Nothing is ever sent blindly twice.

The three parts are three transactions of the door. A process that dies after the claim leaves orders in `sending`;
the next run asks the broker for our ids before it does anything else (`trading.reconcile`). Kill switches are read at
the claim and again, in a turn that whoever throws one waits for, in the moment before the broker is called.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from core.clock import now
from core.errors import Unreachable
from core.log import get_logger
from database.queries import kill_switches as switch_queries
from database.queries import orders as queries
from database.queries.orders import OrderRow
from database.session import Session
from trading.broker import RECALLED, WITHHELD, Answer, Ticket
from trading.brokers import BROKERS
from trading.kill_switch import stopped_by
from trading.timeline import Move, move_orders

TICKETS_AT_ONCE = 50
"""Tickets of one call: whoever throws a kill switch waits for one call at most."""
_STATE_AFTER = {WITHHELD: "intent", RECALLED: "canceled"}
_log = get_logger("trading")


@dataclass(frozen=True)
class Claim:
    """Orders of one broker that this process, and no other, is about to send; sales first."""

    broker: str
    as_of: date
    tickets: tuple[Ticket, ...]


def claim(session: Session, *, account_ids: Collection[int], as_of: date) -> list[Claim]:
    """Move the night's approved orders to `sending`; the door commits before anything is sent.

    Orders under a kill switch stay in `intent`; those whose open is over expire.
    """
    intended = queries.orders_in(session, account_ids=account_ids, states=("intent",), session_on=as_of)
    unwanted = queries.orders_to_withdraw(session, order_ids=[order.order_id for order in intended])
    withdraw(session, orders=unwanted)
    in_time = _still_in_time(session, [order for order in intended if order not in unwanted])
    stopped = _stopped(session, in_time)
    orders = [order for order in in_time if order.client_order_id not in stopped]
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


def parts(claims: Sequence[Claim], *, tickets_max: int = TICKETS_AT_ONCE) -> Iterator[Claim]:
    """The claims in calls of at most `tickets_max`, in the same order."""
    for one in claims:
        for begin in range(0, len(one.tickets), tickets_max):
            yield replace(one, tickets=one.tickets[begin : begin + tickets_max])


def send(session: Session, *, claims: Sequence[Claim]) -> list[Answer]:
    """Call the brokers; writes nothing. A broker that does not answer leaves its orders unknown, not failed.

    Tickets that a kill switch or a person has stopped since the claim are answered WITHHELD or RECALLED instead; where
    the switches cannot be read this raises, and nothing leaves.
    """
    switch_queries.take_turn_to_send(session)
    answers: list[Answer] = []
    for one in claims:
        stops = _stops(session, one.tickets)
        wanted = [ticket for ticket in one.tickets if ticket.client_order_id not in stops]
        answers += stops.values()
        if not wanted:
            continue
        try:
            answers += BROKERS[one.broker](session, one.as_of).submit(wanted)
        except Unreachable as error:
            _log.warning("broker unreachable", broker=one.broker, orders=len(wanted), error=str(error))
            answers += [Answer(ticket.client_order_id, "unknown", raw={"error": str(error)}) for ticket in wanted]
    return answers


def record(session: Session, *, answers: Sequence[Answer]) -> dict[str, int]:
    """Write the answers down; returns how many orders were accepted, rejected, unknown, withheld and recalled.

    An order that has left `sending` already (a repeated delivery of the same answers) stays as it is.
    """
    orders = queries.orders_by_client_id(session, client_order_ids=[answer.client_order_id for answer in answers])
    counts = {"accepted": 0, "rejected": 0, "unknown": 0, WITHHELD: 0, RECALLED: 0}
    moves, broker_ids = [], []
    for answer in answers:
        order = orders[answer.client_order_id]
        if order.state != "sending":
            continue
        status = answer.status if answer.status in counts else "unknown"
        counts[status] += 1
        evidence = {"status": answer.status, "broker_order_id": answer.broker_order_id, **answer.raw}
        moves.append(Move(order.order_id, "sending", _STATE_AFTER.get(status, status), evidence))
        if answer.broker_order_id is not None:
            broker_ids.append((order.order_id, answer.broker_order_id))
    move_orders(session, moves)
    queries.set_broker_ids(session, pairs=broker_ids)
    return counts


def ask_to_cancel(session: Session, *, orders: Sequence[OrderRow], open_until: date) -> list[Answer]:
    """Ask the brokers to take orders back; writes nothing. Where a broker does not answer the wish stands."""
    by_broker: dict[str, list[str]] = defaultdict(list)
    for order in orders:
        by_broker[order.broker].append(order.client_order_id)
    answers: list[Answer] = []
    for name, keys in by_broker.items():
        try:
            answers += BROKERS[name](session, open_until).cancel(keys)
        except Unreachable as error:
            _log.warning("broker unreachable", broker=name, orders=len(keys), error=str(error))
    return answers


def record_cancels(session: Session, *, answers: Sequence[Answer]) -> int:
    """Write down which orders the brokers took back; returns how many. One that was filled meanwhile stays filled."""
    orders = queries.orders_by_client_id(session, client_order_ids=[answer.client_order_id for answer in answers])
    moves = [
        Move(order.order_id, order.state, "canceled", {"status": answer.status, **answer.raw})
        for answer in answers
        if answer.status == "canceled"
        and (order := orders[answer.client_order_id]).state in {"accepted", "partial", "unknown"}
    ]
    move_orders(session, moves)
    return len(moves)


def withdraw(session: Session, *, orders: Sequence[OrderRow]) -> int:
    """Cancel orders in `intent` that somebody wanted back while they were under way; returns how many."""
    evidence = {"reason": "withdrawn before it was sent"}
    move_orders(session, [Move(order.order_id, "intent", "canceled", evidence) for order in orders])
    return len(orders)


def _still_in_time(session: Session, orders: Sequence[OrderRow]) -> list[OrderRow]:
    known = switch_queries.leaving(session, client_order_ids=[order.client_order_id for order in orders])
    late = [
        order
        for order in orders
        if (expires_at := known[order.client_order_id].expires_at) is not None and expires_at <= now()
    ]
    evidence = {"reason": "the open that it was meant for is over"}
    move_orders(session, [Move(order.order_id, "intent", "expired", evidence) for order in late])
    return [order for order in orders if order not in late]


def _stopped(session: Session, orders: Sequence[OrderRow]) -> dict[str, str]:
    """Our ids of orders under a kill switch, with its sentence."""
    switches = switch_queries.engaged_switches(session)
    if not switches:
        return {}
    known = switch_queries.leaving(session, client_order_ids=[order.client_order_id for order in orders])
    found = {
        key: stopped_by(switches, client_id=order.client_id, strategy=order.strategy) for key, order in known.items()
    }
    return {key: sentence for key, sentence in found.items() if sentence is not None}


def _stops(session: Session, tickets: Sequence[Ticket]) -> dict[str, Answer]:
    """The tickets that must not leave after all, with what is answered in the broker's place."""
    switches = switch_queries.engaged_switches(session)
    found: dict[str, Answer] = {}
    for key, order in switch_queries.leaving(session, client_order_ids=[t.client_order_id for t in tickets]).items():
        if order.cancel_asked_by is not None:
            reason = f"withdrawn by {order.cancel_asked_by} before the broker was called"
            found[key] = Answer(key, RECALLED, raw={"reason": reason})
        elif sentence := stopped_by(switches, client_id=order.client_id, strategy=order.strategy):
            found[key] = Answer(key, WITHHELD, raw={"reason": sentence})
    return found
