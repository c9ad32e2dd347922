"""What happened to a client's accounts: orders, fills, other entries of the journal, imports of holdings."""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    Numeric,
    Select,
    String,
    Subquery,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)

from database.paging import Page, read_page
from database.session import Session
from database.tables.accounts import Account
from database.tables.fills import Fill
from database.tables.holding_imports import HoldingImport
from database.tables.instruments import Instrument
from database.tables.ledger import JournalEntry, JournalLine
from database.tables.orders import Order

KINDS = ("order", "fill", "deposit", "withdrawal", "dividend", "split", "transfer", "reversal", "import")
# What an event may tell; each source fills in some of them, all in one type.
_DETAILS: dict[str, Any] = {
    "on": Date,
    "status": String,
    "symbol": String,
    "side": String,
    "quantity": Numeric(20, 6),
    "price": Numeric(20, 4),
    "amount_usd": Numeric(20, 2),
    "text": String,
}


def page_activity(session: Session, *, client_id: int, kind: str | None, limit: int, cursor: str | None) -> Page:
    """What happened to a client's accounts, newest first: orders, fills, other journal entries, imports."""
    happened = _activity(client_id)
    query = select(happened)
    if kind is not None:
        query = query.where(happened.c.kind == kind)
    return read_page(
        session, query, sorts={"at": happened.c.at}, key=happened.c.key, sort="-at", limit=limit, cursor=cursor
    )


def _activity(client_id: int) -> Subquery:
    own = select(Account.account_id).where(Account.client_id == client_id)
    return union_all(
        _orders().where(Order.account_id.in_(own)),
        _fills().where(Order.account_id.in_(own)),
        _entries().where(JournalEntry.account_id.in_(own), JournalEntry.kind != "fill"),
        _imports().where(HoldingImport.account_id.in_(own)),
    ).subquery("happened")


def _event(
    kind: Any, source: str, number: Any, *, at: Any, account_id: Any, **details: Any
) -> list[ColumnElement[Any]]:
    return [
        at.label("at"),
        func.concat(f"{source}:", number, type_=String).label("key"),
        cast(kind, String).label("kind"),
        number.label("number"),
        account_id.label("account_id"),
        *(cast(details.get(name, null()), kind_of).label(name) for name, kind_of in _DETAILS.items()),
    ]


def _orders() -> Select[Any]:
    details = {
        "on": Order.session_on,
        "status": Order.state,
        "symbol": Instrument.symbol,
        "side": Order.side,
        "quantity": Order.quantity,
    }
    columns = _event(
        literal("order"), "order", Order.order_id, at=Order.created_at, account_id=Order.account_id, **details
    )
    return select(*columns).join(Instrument, Instrument.instrument_id == Order.instrument_id)


def _fills() -> Select[Any]:
    details = {
        "on": Fill.session_on,
        "symbol": Instrument.symbol,
        "side": Order.side,
        "quantity": Fill.quantity,
        "price": Fill.price,
        "amount_usd": Fill.quantity * Fill.price,
    }
    columns = _event(literal("fill"), "fill", Fill.fill_id, at=Fill.created_at, account_id=Order.account_id, **details)
    return (
        select(*columns)
        .join(Order, Order.order_id == Fill.order_id)
        .join(Instrument, Instrument.instrument_id == Order.instrument_id)
    )


def _entries() -> Select[Any]:
    cash = (
        select(func.sum(JournalLine.amount_usd))
        .where(JournalLine.entry_id == JournalEntry.entry_id, JournalLine.ledger_account == "cash")
        .scalar_subquery()
    )
    details = {"on": JournalEntry.booked_on, "amount_usd": cash, "text": JournalEntry.memo}
    entry = JournalEntry
    return select(
        *_event(entry.kind, "entry", entry.entry_id, at=entry.created_at, account_id=entry.account_id, **details)
    )


def _imports() -> Select[Any]:
    brought = HoldingImport
    return select(
        *_event(
            literal("import"),
            "import",
            brought.holding_import_id,
            at=brought.created_at,
            account_id=brought.account_id,
            status=brought.status,
            text=brought.file_name,
        )
    )
