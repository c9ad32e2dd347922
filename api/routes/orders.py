"""Orders: where they are, how they came there, and how to take them back."""

from datetime import date
from typing import Annotated, Any

from fastapi import Path, Query, Response

from api.deps import Cursor, Limit, desk, needs
from api.once import Once, do_once
from api.schemas.fills import FillOut
from api.schemas.orders import CancelIn, CancelOut, OrderOut, OrderShown, OrderState, OrderStepOut
from api.schemas.page import Page
from api.schemas.recommendations import Side
from api.word import Word
from auth.actor import Actor
from auth.audit import look
from core.errors import NotFound
from database.queries import fills
from database.queries import recommendations as lists
from database.session import Session
from trading import desk as trading_desk
from trading.diary import tell_steps, why_it_waits
from trading.lineage import explain

router = Word("orders", tags=["orders"])
OrderId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Number = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
_FILLS_MAX = 500


@router.get("")
def list_orders(
    state: Annotated[list[OrderState] | None, Query(description="One or more; without it, all.")] = None,
    order_id: Annotated[
        list[Annotated[int, Query(ge=1, le=2**63 - 1)]] | None,
        Query(max_length=500, description="Those of one approval, for one."),
    ] = None,
    from_on: date | None = None,
    to_on: date | None = None,
    client_id: Number = None,
    account_id: Number = None,
    side: Side | None = None,
    strategy: Annotated[str | None, Query(max_length=32)] = None,
    symbol: Annotated[str | None, Query(max_length=16)] = None,
    sort: Annotated[
        str, Query(max_length=32, description="order_id, session_on, changed_at, client or symbol; `-` before it.")
    ] = "-order_id",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("orders.read"),
) -> Page[OrderOut]:
    """Orders of the firm's accounts, the newest first unless sorted otherwise; dates are nights, both included."""
    filters = lists.OrderFilters(
        states=state,
        order_ids=order_id,
        from_on=from_on,
        to_on=to_on,
        client_id=client_id,
        account_id=account_id,
        side=side,
        strategy=strategy,
        symbol=symbol,
    )
    with desk(actor) as session:
        rows = lists.page_of_orders(session, filters=filters, sort=sort, limit=limit, cursor=cursor)
        return Page[OrderOut].of(rows, OrderOut.model_validate)


@router.get("/{order_id}")
def show_order(order_id: OrderId, actor: Actor = needs("orders.read")) -> OrderShown:
    """One order with its timeline in words and its fills."""
    with desk(actor) as session:
        row = _found(session, order_id, actor)
        filters = fills.TradeFilters(order_id=order_id)
        filled = fills.page_of_trades(session, filters=filters, sort="fill_id", limit=_FILLS_MAX, cursor=None)
        steps = tell_steps(lists.events_of(session, order_id=order_id))
        return OrderShown.model_validate(
            {
                **row._mapping,
                "waits_because": why_it_waits(session, client_order_id=row.client_order_id, state=row.state),
                "timeline": [OrderStepOut.model_validate(step) for step in steps],
                "fills": [FillOut.model_validate(fill) for fill in filled.rows],
            }
        )


@router.get("/{order_id}/lineage")
def explain_order(order_id: OrderId, actor: Actor = needs("orders.read")) -> dict[str, Any]:
    """Everything that the order came from, back to features, models, regime, run and code; amounts as text."""
    with desk(actor) as session:
        _found(session, order_id, actor)
        return explain(session, order_id=order_id)


@router.post("/{order_id}/cancellation", status_code=202, response_model=CancelOut)
def cancel_order(order_id: OrderId, given: CancelIn, once: Once, actor: Actor = needs("orders.cancel")) -> Response:
    """Take an order back: at once where no broker has it, else the job asks. A fill may overtake the wish."""

    def work(session: Session) -> CancelOut:
        done = trading_desk.cancel(
            session, order_id=order_id, reason=given.reason, actor=actor.email, user_id=actor.user_id
        )
        return CancelOut.model_validate(done)

    return do_once(once, actor, work, status=202)


def _found(session: Session, order_id: int, actor: Actor) -> Any:
    row = lists.find_order_shown(session, order_id=order_id)
    if row is None:
        raise NotFound("order", order_id)
    look(session, actor=actor.email, subject="account", subject_id=row.account_id)
    return row
