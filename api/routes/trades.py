"""The history of trades: every execution with its cost, gain and reason; as a list and as files."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, Query, Response

from api.deps import Cursor, Limit, desk, needs
from api.exports import ANSWERS, Format, Kind, export_table
from api.schemas.page import Page
from api.schemas.recommendations import Side
from api.schemas.trades import TradeOut
from api.word import Word
from auth.actor import Actor
from auth.audit import look
from core.errors import InputError
from database.queries import fills

router = Word("trades", tags=["trades"])
Number = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
_ROWS_AT_ONCE = 2000
COLUMNS: Mapping[str, Kind] = {
    "fill_id": "integer",
    "session_on": "date",
    "filled_at": "time",
    "client": "text",
    "account": "text",
    "symbol": "text",
    "company": "text",
    "sector": "text",
    "side": "text",
    "quantity": "decimal",
    "market_price": "decimal",
    "price": "decimal",
    "notional_usd": "decimal",
    "commission_usd": "decimal",
    "spread_cost_usd": "decimal",
    "impact_cost_usd": "decimal",
    "cost_usd": "decimal",
    "gain_usd": "decimal",
    "order_id": "integer",
    "strategy": "text",
    "reason": "text",
    "decided_by": "text",
}


def _asked(
    from_on: date | None = None,
    to_on: date | None = None,
    client_id: Number = None,
    account_id: Number = None,
    side: Side | None = None,
    strategy: Annotated[str | None, Query(max_length=32)] = None,
    symbol: Annotated[str | None, Query(max_length=16)] = None,
) -> fills.TradeFilters:
    if from_on is not None and to_on is not None and from_on > to_on:
        raise InputError(f"from_on is {from_on}, after to_on {to_on}: no session is between them")
    return fills.TradeFilters(
        from_on=from_on,
        to_on=to_on,
        client_id=client_id,
        account_id=account_id,
        side=side,
        strategy=strategy,
        symbol=symbol,
    )


Asked = Annotated[fills.TradeFilters, Depends(_asked)]


@router.get("")
def list_trades(
    asked: Asked,
    sort: Annotated[
        str, Query(max_length=32, description="fill_id, session_on, client, symbol or notional_usd; `-` before it.")
    ] = "-fill_id",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("orders.read"),
) -> Page[TradeOut]:
    """What was traded, the newest first unless sorted otherwise; dates are sessions, both included."""
    with desk(actor) as session:
        rows = fills.page_of_trades(session, filters=asked, sort=sort, limit=limit, cursor=cursor)
        return Page[TradeOut].of(rows, TradeOut.model_validate)


@router.get("/export", response_class=Response, responses=ANSWERS)
def export_trades(
    asked: Asked,
    format: Annotated[Format, Query(description="CSV in UTF-8 for spreadsheets, or Parquet.")] = "csv",
    actor: Actor = needs("orders.read"),
) -> Response:
    """The same as a file, all rows, oldest first; text that a spreadsheet would run gets an apostrophe."""
    with desk(actor) as session:
        subject_id = "all" if asked.client_id is None else f"client {asked.client_id}"
        look(session, actor=actor.email, subject="trades", subject_id=subject_id)

        def batches() -> Iterator[list[list[Any]]]:
            for rows in fills.stream_trades(session, filters=asked, rows_at_once=_ROWS_AT_ONCE):
                yield [[row._mapping[name] for name in COLUMNS] for row in rows]

        return export_table("trades", COLUMNS, batches(), form=format)
