"""Takes an order back: at once while it is here, by asking the broker once it is there."""

from dataclasses import dataclass

from auth.audit import record
from core.errors import NotFound, Refused
from database.queries import orders as queries
from database.queries.recommendations import holders
from database.session import Session, advisory_lock
from trading.order import TERMINAL
from trading.timeline import Move, move_orders


@dataclass(frozen=True)
class Cancelled:
    """How far a wish to cancel has come: `is_asked` where the broker has still to be asked."""

    order_id: int
    account_id: int
    state: str
    is_asked: bool


def cancel(session: Session, *, order_id: int, actor: str, reason: str | None = None) -> Cancelled:
    """Take an order back. What no broker has is canceled now; for the rest the wish is noted and the door asks.

    NotFound; Refused where the order has ended. A fill may overtake the wish: the broker's word decides.
    """
    order = queries.find_order(session, order_id=order_id)
    if order is None:
        raise NotFound("order", order_id)
    book = holders(session, account_ids=[order.account_id])[order.account_id].book
    # Behind the book's lock no sender claims it between the look and the move.
    advisory_lock(session, f"acis:trading:{book}")
    order = queries.find_order(session, order_id=order_id)
    assert order is not None, "orders are never deleted"
    if order.state in TERMINAL:
        raise Refused(f"order {order_id} is {order.state} already: nothing of it is left to cancel")
    after = {"state": order.state, "reason": reason}
    record(session, actor=actor, action="cancel", subject="order", subject_id=order_id, after=after)
    if order.state in {"planned", "intent"}:
        evidence = {"reason": reason or "withdrawn", "canceled_by": actor}
        move_orders(session, [Move(order_id, order.state, "canceled", evidence)])
        return Cancelled(order_id, order.account_id, "canceled", is_asked=False)
    queries.ask_cancel(session, order_id=order_id, asked_by=actor)
    return Cancelled(order_id, order.account_id, order.state, is_asked=True)
