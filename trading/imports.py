"""Holdings from a file: looked at first, then booked as a transfer, and undone as long as nothing has touched them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any

from auth.audit import record
from clients import service as clients
from clients.holdings_file import read_holdings
from clients.mandate import find_breaches, limits_of
from core.clock import now
from core.errors import NotFound, Refused
from core.money import ZERO, price
from database.queries import accounts as account_queries
from database.queries import holding_imports as queries
from database.queries import ledger as ledger_queries
from database.queries import orders as order_queries
from database.queries import positions as position_queries
from database.queries.positions import OpenLot, ReturnedLot
from database.queries.quotes import quoted_instruments
from database.session import Session
from database.tables.accounts import Account
from database.tables.holding_imports import HoldingImport
from trading.closing import hold_book
from trading.import_plan import (
    Mode,
    Plan,
    arriving_of,
    compare_holdings,
    fingerprint_of,
    held_of,
    holdings_after,
    holdings_of,
    judge_row,
    make_plan,
    plain,
)
from trading.order import OPEN
from trading.transfers import book_transfer, reverse_transfer

ROWS_AT_ONCE_MAX = 2_000
"""Larger files are booked by a job: nobody waits for them in front of a browser."""


def preview_import(
    session: Session,
    *,
    account_id: int,
    content: bytes,
    file_name: str,
    mode: Mode,
    as_of: date,
    actor: str,
) -> HoldingImport:
    """Read a file, judge its rows, and store what it would change; books nothing.

    `replace`: the file is the whole truth; what the account holds besides leaves. Stocks of rows with mistakes are left
    as they are. `add`: every row comes in on top. Prices and mandate are those of `as_of`.
    """
    _require_paper(session, account_id)
    rows = read_holdings(content, until_on=as_of)
    quotes = {
        row.symbol: row
        for row in quoted_instruments(session, as_of=as_of, symbols={row.symbol for row in rows if row.symbol})
    }
    rows = [judge_row(row, quotes, as_of) for row in rows]
    lots = position_queries.all_open_lots(session, account_id=account_id)
    plan = make_plan(rows, lots, quotes, mode=mode, as_of=as_of)
    digest = sha256(content).hexdigest()
    twice = queries.applied_before(session, account_id=account_id, content_sha256=digest) if mode == "add" else None
    statuses = [row.status for row in rows]
    changes = {
        "mode": mode,
        "as_of": as_of,
        "notes": [] if twice is None else [f"this very file was booked as import {twice} already"],
        "counts": {status: statuses.count(status) for status in ("ok", "error", "ignored")},
        "fingerprint": fingerprint_of(lots),
        **plan.as_changes(),
        **_effects(session, account_id, plan, lots, as_of),
    }
    brought = HoldingImport(
        account_id=account_id,
        file_name=file_name,
        content_sha256=digest,
        status="previewed",
        rows=[plain(asdict(row)) for row in rows],
        changes=plain(changes),
        created_by=actor,
    )
    return queries.add_import(session, brought)


def find_import(session: Session, import_id: int, *, is_locked: bool = False) -> HoldingImport:
    """The import; NotFound where there is none that the caller may see."""
    brought = queries.find_import(session, import_id=import_id, is_locked=is_locked)
    if brought is None:
        raise NotFound("import", import_id)
    return brought


def require_applicable(
    session: Session, *, import_id: int, skip_errors: bool, is_locked: bool = False
) -> HoldingImport:
    """The import, where it may be booked. Refused with the reason: booked already, mistakes in it, out of date."""
    brought = find_import(session, import_id, is_locked=is_locked)
    if brought.status != "previewed":
        raise Refused(f"import {import_id} is {brought.status}: upload the file again to book it")
    counts = brought.changes["counts"]
    if counts["error"] and not skip_errors:
        raise Refused(f"import {import_id} has mistakes in {counts['error']} rows: put them right, or skip those rows")
    if not brought.changes["arriving"] and not brought.changes["leaving"]:
        raise Refused(f"import {import_id} would change nothing: the account holds what the file tells")
    lots = position_queries.all_open_lots(session, account_id=brought.account_id)
    if fingerprint_of(lots) != brought.changes["fingerprint"]:
        raise Refused(f"the account's holdings have changed since import {import_id} was looked at: upload it again")
    return brought


def apply_import(session: Session, *, import_id: int, skip_errors: bool, as_of: date, actor: str) -> HoldingImport:
    """Book what the preview showed, as a transfer on `as_of`. Refused as in `require_applicable`."""
    account = _require_paper(session, find_import(session, import_id).account_id)
    hold_book(session, account.book)
    clients.require_open_account(session, account_id=account.account_id, is_locked=True)
    brought = require_applicable(session, import_id=import_id, skip_errors=skip_errors, is_locked=True)
    changes = brought.changes
    by_id = {lot.lot_id: lot for lot in position_queries.all_open_lots(session, account_id=account.account_id)}
    leaving = [by_id[lot["lot_id"]] for lot in changes["leaving"]]
    _require_no_orders(session, account.account_id, {lot.instrument_id for lot in leaving})
    entry_id = book_transfer(
        session,
        account_id=account.account_id,
        on=as_of,
        source_key=f"import:{import_id}",
        memo=f"holdings from {brought.file_name}: {len(changes['arriving'])} lots in, {len(leaving)} out",
        arriving=arriving_of(changes),
        leaving=leaving,
    )
    queries.set_status(session, brought=brought, status="applied", values={"applied_at": now()})
    after = {
        "import_id": import_id,
        "entry_id": entry_id,
        "file_name": brought.file_name,
        "content_sha256": brought.content_sha256,
        "lots_in": len(changes["arriving"]),
        "lots_out": len(leaving),
    }
    record(session, actor=actor, action="import", subject="account", subject_id=account.account_id, after=after)
    return brought


def undo_import(session: Session, *, import_id: int, as_of: date, actor: str) -> HoldingImport:
    """Reverse a booked import. Refused once something else has touched its lots."""
    account = _require_paper(session, find_import(session, import_id).account_id)
    hold_book(session, account.book)
    clients.require_open_account(session, account_id=account.account_id, is_locked=True)
    brought = find_import(session, import_id, is_locked=True)
    if brought.status != "applied":
        raise Refused(f"import {import_id} is {brought.status}, not booked: there is nothing to undo")
    changes, key = brought.changes, f"import:{import_id}"
    arrived = arriving_of(changes)
    returning = [
        ReturnedLot(lot["lot_id"], lot["instrument_id"], Decimal(lot["quantity"]), Decimal(lot["cost_usd"]))
        for lot in changes["leaving"]
    ]
    touched = {lot.lot_id for lot in returning} - position_queries.closed_lots(
        session, lot_ids=[lot.lot_id for lot in returning]
    )
    split = position_queries.split_since(
        session,
        instrument_ids={lot.instrument_id for lot in returning},
        after_on=date.fromisoformat(changes["as_of"]),
        until_on=as_of,
    )
    if touched or split:
        raise Refused("some of the shares that left were touched or split since: it cannot be undone")
    _require_no_orders(session, account.account_id, {lot.instrument_id for lot in arrived})
    entry_id = ledger_queries.entry_id_of(session, account_id=account.account_id, source_key=key)
    if entry_id is None:
        raise NotFound("journal entry", key)
    reverse_transfer(
        session,
        account_id=account.account_id,
        on=as_of,
        source_key=f"undo {key}",
        memo=f"import {import_id} of {brought.file_name} undone",
        entry_id=entry_id,
        arrived=arrived,
        returning=returning,
    )
    queries.set_status(session, brought=brought, status="undone", values={"undone_at": now()})
    after = {"import_id": import_id, "lots_out": len(arrived), "lots_in": len(returning)}
    record(session, actor=actor, action="undo_import", subject="account", subject_id=account.account_id, after=after)
    return brought


def _require_paper(session: Session, account_id: int) -> Account:
    account = clients.require_open_account(session, account_id=account_id)
    if account.kind != "paper":
        raise Refused(
            f"account {account_id} is a {account.kind} account: holdings are brought into paper accounts only"
        )
    return account


def _require_no_orders(session: Session, account_id: int, instrument_ids: set[int]) -> None:
    orders = order_queries.orders_in(session, account_ids=[account_id], states=OPEN)
    touching = [order.order_id for order in orders if order.instrument_id in instrument_ids]
    if touching:
        raise Refused(f"orders {touching[:5]} in stocks that would leave are under way: wait, or cancel them")


def _effects(session: Session, account_id: int, plan: Plan, lots: Sequence[OpenLot], as_of: date) -> dict[str, Any]:
    """What the plan does to the account's holdings, value and limits, at the closes of `as_of`."""
    before, after = holdings_of(lots), holdings_after(lots, plan)
    quotes = {row.instrument_id: row for row in quoted_instruments(session, as_of=as_of, ids={*before, *after})}
    barred = account_queries.restricted_instruments(session, account_ids=[account_id]).get(account_id, {})
    cash_usd = ledger_queries.cash_on(session, account_ids=[account_id], until_on=date.max)[account_id]
    limits = limits_of(clients.mandate_of(session, account_id=account_id))
    effects: dict[str, Any] = {
        "prices": {
            str(key): [quote.priced_on, price(quote.close)] for key, quote in quotes.items() if quote.close is not None
        },
        "holdings": compare_holdings(before, after, quotes),
        "cash_usd": cash_usd,
    }
    for when, holdings in (("before", before), ("after", after)):
        held = held_of(holdings, quotes, barred)
        effects[f"value_{when}_usd"] = cash_usd + sum((one.value_usd for one in held), ZERO)
        effects[f"breaches_{when}"] = [asdict(one) for one in find_breaches(limits, cash_usd=cash_usd, holdings=held)]
    return effects
