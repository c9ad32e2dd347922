"""The paper ledger: double entry, append-only, by natural key; with it positions and tax lots.

Debits are positive, credits negative, each entry sums to zero:

| event    | cash                   | securities | capital | dividends | realised_gains | commissions |
| deposit  | +amount                |            | -amount |           |                |             |
| buy      | -(notional+commission) | +notional  |         |           |                | +commission |
| sale     | +notional-commission   | -lot cost  |         |           | -gain          | +commission |
| dividend | +amount                |            |         | -amount   |                |             |
| split    | +cash in lieu          | -its cost  |         |           | -gain          |             |
| transfer |                        | +lot cost  | -cost   |           |                |             |

A session that has been valued is closed: what becomes known of it later is booked on the next day.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from core.errors import IntegrityBroken
from core.money import ZERO, money
from database.queries import ledger as queries
from database.queries import positions as position_queries
from database.queries.positions import OpenLot
from database.session import Session
from trading.lots import close_fifo


@dataclass(frozen=True)
class Line:
    """One side of an entry; `quantity` in shares where it moves securities."""

    ledger_account: str
    amount_usd: Decimal
    instrument_id: int | None = None
    quantity: Decimal | None = None


@dataclass(frozen=True)
class Entry:
    """One event; `source_key` is its natural name, so booking it twice is a no-op."""

    booked_on: date
    kind: str
    source_key: str
    memo: str
    lines: tuple[Line, ...]
    reverses_entry_id: int | None = None

    def __post_init__(self) -> None:
        total = sum((line.amount_usd for line in self.lines), ZERO)
        if len(self.lines) < 2 or total != 0:
            raise IntegrityBroken(f"journal entry {self.source_key} is not balanced: it sums to {total} USD")


@dataclass(frozen=True)
class BookedFill:
    """An execution with the order that it belongs to, as the ledger needs it."""

    fill_id: int
    broker_fill_id: str
    instrument_id: int
    symbol: str
    side: str
    session_on: date
    quantity: Decimal
    price: Decimal
    commission_usd: Decimal

    @property
    def notional_usd(self) -> Decimal:
        """Quantity times price, to the cent."""
        return money(self.quantity * self.price)


def deposit_entry(*, booked_on: date, amount_usd: Decimal, source_key: str, memo: str) -> Entry:
    """Money that the client brings."""
    lines = (Line("cash", amount_usd), Line("capital", -amount_usd))
    return Entry(booked_on, "deposit", source_key, memo, lines)


def withdrawal_entry(*, booked_on: date, amount_usd: Decimal, source_key: str, memo: str) -> Entry:
    """Money that the client takes out."""
    lines = (Line("cash", -amount_usd), Line("capital", amount_usd))
    return Entry(booked_on, "withdrawal", source_key, memo, lines)


def dividend_entry(*, instrument_id: int, symbol: str, ex_on: date, shares: Decimal, amount_usd: Decimal) -> Entry:
    """A dividend of `amount_usd` a share, credited on its ex-date."""
    amount = money(shares * amount_usd)
    memo = f"dividend of {symbol}: {shares.normalize():f} shares at {amount_usd} USD"
    lines = (Line("cash", amount), Line("dividends", -amount, instrument_id, shares))
    return Entry(ex_on, "dividend", f"dividend:{instrument_id}:{ex_on}", memo, lines)


def buy_entry(fill: BookedFill) -> Entry:
    """Securities at cost, the commission as an expense."""
    lines = (
        Line("securities", fill.notional_usd, fill.instrument_id, fill.quantity),
        Line("commissions", fill.commission_usd, fill.instrument_id),
        Line("cash", -fill.notional_usd - fill.commission_usd),
    )
    return Entry(fill.session_on, "fill", f"fill:{fill.broker_fill_id}", _memo(fill, "bought"), lines)


def sell_entry(fill: BookedFill, *, cost_usd: Decimal) -> Entry:
    """Securities leave at what their lots had cost; the difference is a realised gain or loss."""
    lines = (
        Line("cash", fill.notional_usd - fill.commission_usd),
        Line("commissions", fill.commission_usd, fill.instrument_id),
        Line("securities", -cost_usd, fill.instrument_id, -fill.quantity),
        Line("realised_gains", cost_usd - fill.notional_usd, fill.instrument_id),
    )
    return Entry(fill.session_on, "fill", f"fill:{fill.broker_fill_id}", _memo(fill, "sold"), lines)


def _memo(fill: BookedFill, verb: str) -> str:
    return f"{verb} {fill.quantity.normalize():f} {fill.symbol} at {fill.price}"


def booking_day(on: date, *, closed_on: date | None) -> date:
    """The day that something of `on` is booked on: later where the account's sessions up to `closed_on` are closed."""
    return on if closed_on is None else max(on, closed_on + timedelta(days=1))


def book_entries(session: Session, *, account_id: int, entries: Sequence[Entry], closed_on: date | None) -> set[str]:
    """Book what is not booked yet; returns the source keys that were new.

    `closed_on` is the account's last valued session: nothing is booked on it or before.
    """
    rows = [
        {
            "account_id": account_id,
            "booked_on": booking_day(entry.booked_on, closed_on=closed_on),
            "kind": entry.kind,
            "source_key": entry.source_key,
            "memo": entry.memo,
            "reverses_entry_id": entry.reverses_entry_id,
        }
        for entry in entries
    ]
    ids = queries.insert_entries(session, entries=rows)
    lines = [
        {
            "entry_id": ids[account_id, entry.source_key],
            "line": number,
            "ledger_account": line.ledger_account,
            "amount_usd": line.amount_usd,
            "instrument_id": line.instrument_id,
            "quantity": line.quantity,
        }
        for entry in entries
        if (account_id, entry.source_key) in ids
        for number, line in enumerate(entry.lines, start=1)
    ]
    queries.insert_lines(session, lines=lines)
    return {source_key for _, source_key in ids}


def book_fills(session: Session, *, account_id: int, fills: Sequence[BookedFill], closed_on: date | None) -> None:
    """Book executions that no journal holds yet, sales before buys where they touch different stocks.

    Lots, positions and journal move together. Raises IntegrityBroken when a sale exceeds what is held.
    """
    ordered = sorted(fills, key=lambda fill: (fill.session_on, fill.fill_id))
    for batch in _without_round_trips(ordered):
        _book_sales(session, account_id, [fill for fill in batch if fill.side == "sell"], closed_on)
        _book_buys(session, account_id, [fill for fill in batch if fill.side == "buy"], closed_on)


def _without_round_trips(fills: Sequence[BookedFill]) -> list[list[BookedFill]]:
    """Consecutive batches in none of which a stock is both bought and sold, so each can be booked at once."""
    batches: list[list[BookedFill]] = [[]]
    sides: dict[int, str] = {}
    for fill in fills:
        if sides.setdefault(fill.instrument_id, fill.side) != fill.side:
            batches.append([])
            sides = {fill.instrument_id: fill.side}
        batches[-1].append(fill)
    return batches


def _book_buys(session: Session, account_id: int, fills: Sequence[BookedFill], closed_on: date | None) -> None:
    if not fills:
        return
    booked = book_entries(
        session, account_id=account_id, entries=[buy_entry(fill) for fill in fills], closed_on=closed_on
    )
    new = [fill for fill in fills if f"fill:{fill.broker_fill_id}" in booked]
    position_queries.insert_lots(
        session,
        lots=[
            {
                "account_id": account_id,
                "instrument_id": fill.instrument_id,
                "fill_id": fill.fill_id,
                "opened_on": fill.session_on,
                "quantity": fill.quantity,
                "remaining": fill.quantity,
                "cost_usd": fill.notional_usd,
                "remaining_cost_usd": fill.notional_usd,
            }
            for fill in new
        ],
    )
    move_positions(session, account_id, [(fill.instrument_id, fill.quantity, fill.notional_usd) for fill in new])


def _book_sales(session: Session, account_id: int, fills: Sequence[BookedFill], closed_on: date | None) -> None:
    if not fills:
        return
    keys = [f"fill:{fill.broker_fill_id}" for fill in fills]
    known = queries.booked_keys(session, account_id=account_id, source_keys=keys)
    fills = [fill for fill in fills if f"fill:{fill.broker_fill_id}" not in known]
    by_instrument: dict[int, list[OpenLot]] = defaultdict(list)
    for lot in position_queries.open_lots(
        session, account_id=account_id, instrument_ids={fill.instrument_id for fill in fills}
    ):
        by_instrument[lot.instrument_id].append(lot)
    entries: list[Entry] = []
    closings: list[dict[str, Any]] = []
    lots: dict[int, dict[str, Any]] = {}
    moves: list[tuple[int, Decimal, Decimal]] = []
    for fill in fills:
        held = by_instrument[fill.instrument_id]
        closed = close_fifo(held, quantity=fill.quantity, proceeds_usd=fill.notional_usd)
        cost = sum((closing.cost_usd for closing in closed), ZERO)
        entries.append(sell_entry(fill, cost_usd=cost))
        moves.append((fill.instrument_id, -fill.quantity, -cost))
        for closing in closed:
            closings.append(
                {
                    "lot_id": closing.lot_id,
                    "fill_id": fill.fill_id,
                    "closed_on": fill.session_on,
                    "quantity": closing.quantity,
                    "cost_usd": closing.cost_usd,
                    "proceeds_usd": closing.proceeds_usd,
                    "gain_usd": closing.gain_usd,
                }
            )
            lots[closing.lot_id] = {
                "lot_id": closing.lot_id,
                "remaining": closing.remaining,
                "remaining_cost_usd": closing.remaining_cost_usd,
                "closed_on": fill.session_on if closing.remaining == 0 else None,
            }
        by_instrument[fill.instrument_id] = [
            lot._replace(
                remaining=lots[lot.lot_id]["remaining"], remaining_cost_usd=lots[lot.lot_id]["remaining_cost_usd"]
            )
            if lot.lot_id in lots
            else lot
            for lot in held
            if lot.lot_id not in lots or lots[lot.lot_id]["remaining"] > 0
        ]
    book_entries(session, account_id=account_id, entries=entries, closed_on=closed_on)
    position_queries.insert_closings(session, closings=closings)
    position_queries.update_lots(session, lots=list(lots.values()))
    move_positions(session, account_id, moves)


def move_positions(session: Session, account_id: int, moves: Sequence[tuple[int, Decimal, Decimal]]) -> None:
    """Add (instrument, shares, cost) to an account's positions; the caller moves journal and lots by the same."""
    totals: dict[int, tuple[Decimal, Decimal]] = {}
    for instrument_id, quantity, cost_usd in moves:
        before = totals.get(instrument_id, (ZERO, ZERO))
        totals[instrument_id] = (before[0] + quantity, before[1] + cost_usd)
    position_queries.add_to_positions(
        session,
        changes=[
            {"account_id": account_id, "instrument_id": key, "quantity": quantity, "cost_usd": cost_usd}
            for key, (quantity, cost_usd) in totals.items()
        ],
    )


def find_faults(session: Session, *, account_ids: Sequence[int]) -> dict[int, str]:
    """Accounts whose positions differ from their open lots, or whose cash is negative, with what is wrong."""
    faults = position_queries.position_faults(session, account_ids=account_ids)
    for account_id, cash in queries.cash_on(session, account_ids=account_ids, until_on=date.max).items():
        if cash < 0:
            faults.setdefault(account_id, []).append(f"cash is {cash} USD")
    return {
        account_id: f"the books of account {account_id} do not agree: {'; '.join(found)}"
        for account_id, found in faults.items()
    }


def require_sound_books(session: Session, *, account_id: int) -> None:
    """Raises IntegrityBroken where `find_faults` finds anything."""
    faults = find_faults(session, account_ids=[account_id])
    if faults:
        raise IntegrityBroken(faults[account_id])
