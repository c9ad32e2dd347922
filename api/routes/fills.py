"""Executions, as the brokers reported them."""

from datetime import date
from typing import Annotated

from fastapi import Query

from api.deps import Cursor, Limit, desk, needs
from api.schemas.fills import FillOut
from api.schemas.page import Page
from api.word import Word
from auth.actor import Actor
from database.queries import fills

router = Word("fills", tags=["fills"])
Number = Annotated[int | None, Query(ge=1, le=2**63 - 1)]


@router.get("")
def list_fills(
    order_id: Number = None,
    client_id: Number = None,
    account_id: Number = None,
    from_on: date | None = None,
    to_on: date | None = None,
    sort: Annotated[
        str, Query(max_length=32, description="fill_id, session_on, client, symbol or notional_usd; `-` before it.")
    ] = "-fill_id",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("orders.read"),
) -> Page[FillOut]:
    """Executions, the newest first unless sorted otherwise; dates are sessions, both included."""
    filters = fills.TradeFilters(
        order_id=order_id, client_id=client_id, account_id=account_id, from_on=from_on, to_on=to_on
    )
    with desk(actor) as session:
        rows = fills.page_of_trades(session, filters=filters, sort=sort, limit=limit, cursor=cursor)
        return Page[FillOut].of(rows, FillOut.model_validate)
