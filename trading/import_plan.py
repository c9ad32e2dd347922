"""What a file of holdings would change: which lots come in, which leave, and what is held before and after. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any, Literal

from clients.holdings_file import HoldingRow
from clients.mandate import Held
from core.money import ZERO, money, price
from database.queries.positions import OpenLot
from database.queries.quotes import QuotedInstrument
from trading.transfers import ArrivingLot

Mode = Literal["replace", "add"]
Shares = dict[int, tuple[Decimal, Decimal, int]]
"""Shares, cost and number of lots by instrument."""


@dataclass(frozen=True)
class Plan:
    """Which lots come in, each with its line in the file, and which leave."""

    arriving: list[tuple[int, ArrivingLot]]
    leaving: list[OpenLot]

    def as_changes(self) -> dict[str, Any]:
        """As the import keeps it until it is booked."""
        return {
            "arriving": [{"row": number, **lot._asdict()} for number, lot in self.arriving],
            "leaving": [
                {
                    "lot_id": lot.lot_id,
                    "instrument_id": lot.instrument_id,
                    "opened_on": lot.opened_on,
                    "quantity": lot.remaining,
                    "cost_usd": lot.remaining_cost_usd,
                }
                for lot in self.leaving
            ],
        }


def judge_row(row: HoldingRow, quotes: Mapping[str, QuotedInstrument], as_of: date) -> HoldingRow:
    """The row with what only the database knows: whether there is such a stock, and what it is worth."""
    if row.status == "ignored" or any(error.field == "symbol" for error in row.errors):
        return row
    quote = quotes.get(row.symbol)
    if quote is None:
        return row.with_error("symbol", row.symbol, "is not known here: check its spelling, or leave the row out")
    if quote.close is None:
        told = f"has no price in the 400 days before {as_of}, so nobody could tell its value: leave the row out"
        return row.with_error("symbol", row.symbol, told)
    return row


def make_plan(
    rows: Sequence[HoldingRow],
    lots: Sequence[OpenLot],
    quotes: Mapping[str, QuotedInstrument],
    *,
    mode: Mode,
    as_of: date,
) -> Plan:
    """The lots of good rows come in; where the file is the whole truth, lots that it does not tell of leave.

    A lot that the file tells of and the account holds is left alone; a row without a date is any lot of that size and
    cost. A row with a mistake says that its stock is held, but not how: all of that stock is left alone.
    """
    wanted = [
        (row, ArrivingLot(quotes[row.symbol].instrument_id, row.opened_on or as_of, row.quantity, row.cost_usd))
        for row in rows
        if row.status == "ok" and row.quantity is not None and row.cost_usd is not None
    ]
    if mode == "add":
        return Plan([(row.number, lot) for row, lot in wanted], [])
    unclear = {quotes[row.symbol].instrument_id for row in rows if row.status == "error" and row.symbol in quotes}
    standing: dict[tuple[int, Decimal, Decimal], list[OpenLot]] = defaultdict(list)
    for held in lots:
        if held.instrument_id not in unclear:
            standing[held.instrument_id, held.remaining, held.remaining_cost_usd].append(held)
    arriving = []
    # Rows that name their day first, so that one without takes no lot that another means.
    for row, lot in sorted(wanted, key=lambda pair: pair[0].opened_on is None):
        alike = standing[lot.instrument_id, lot.quantity, lot.cost_usd]
        same = [held for held in alike if row.opened_on is None or held.opened_on == lot.opened_on]
        if same:
            alike.remove(same[0])
        elif lot.instrument_id not in unclear:
            arriving.append((row.number, lot))
    leaving = [held for left in standing.values() for held in left]
    return Plan(sorted(arriving, key=lambda pair: pair[0]), sorted(leaving, key=lambda held: held.lot_id))


def holdings_of(lots: Sequence[OpenLot]) -> Shares:
    """Shares, cost and number of lots by instrument."""
    found: Shares = {}
    for lot in lots:
        _move(found, lot.instrument_id, lot.remaining, lot.remaining_cost_usd)
    return found


def holdings_after(lots: Sequence[OpenLot], plan: Plan) -> Shares:
    """What is held once the plan is carried out."""
    found = holdings_of(lots)
    for gone in plan.leaving:
        _move(found, gone.instrument_id, -gone.remaining, -gone.remaining_cost_usd)
    for _, lot in plan.arriving:
        _move(found, lot.instrument_id, lot.quantity, lot.cost_usd)
    return found


def _move(holdings: Shares, instrument_id: int, quantity: Decimal, cost_usd: Decimal) -> None:
    shares, cost, count = holdings.get(instrument_id, (ZERO, ZERO, 0))
    holdings[instrument_id] = (shares + quantity, cost + cost_usd, count + (1 if quantity > 0 else -1))


def held_of(holdings: Shares, quotes: Mapping[int, QuotedInstrument], barred: Mapping[int, str]) -> list[Held]:
    """The holdings as an account's limits see them; without a price: nothing."""
    return [
        Held(quotes[key].symbol, quotes[key].sector, _value(shares, quotes[key]) or ZERO, barred.get(key))
        for key, (shares, _, _) in holdings.items()
        if shares > 0
    ]


def _value(shares: Decimal, quote: QuotedInstrument) -> Decimal | None:
    return None if quote.close is None else money(shares * price(quote.close))


def compare_holdings(before: Shares, after: Shares, quotes: Mapping[int, QuotedInstrument]) -> list[dict[str, Any]]:
    """Each holding before and after, by symbol."""
    nothing = (ZERO, ZERO, 0)
    found = []
    for key in sorted({*before, *after}, key=lambda key: quotes[key].symbol):
        old, new = before.get(key, nothing), after.get(key, nothing)
        if old[0] == 0 or new[0] == 0:
            change = "added" if old[0] == 0 else "removed"
        else:
            change = "unchanged" if old == new else "changed"
        found.append(
            {
                "instrument_id": key,
                "symbol": quotes[key].symbol,
                "name": quotes[key].name,
                "change": change,
                "quantity_before": old[0],
                "quantity_after": new[0],
                "cost_before_usd": old[1],
                "cost_after_usd": new[1],
                "lots_before": old[2],
                "lots_after": new[2],
                "value_before_usd": _value(old[0], quotes[key]),
                "value_after_usd": _value(new[0], quotes[key]),
            }
        )
    return found


def arriving_of(changes: Mapping[str, Any]) -> list[ArrivingLot]:
    """The lots that come in, as an import kept them."""
    return [
        ArrivingLot(
            lot["instrument_id"],
            date.fromisoformat(lot["opened_on"]),
            Decimal(lot["quantity"]),
            Decimal(lot["cost_usd"]),
        )
        for lot in changes["arriving"]
    ]


def fingerprint_of(lots: Sequence[OpenLot]) -> str:
    """What the account holds, lot by lot, as one word."""
    state = [f"{lot.lot_id}:{lot.remaining.normalize()}:{lot.remaining_cost_usd.normalize()}" for lot in lots]
    return sha256(";".join(sorted(state)).encode()).hexdigest()


def plain(value: Any) -> Any:
    """As JSON holds it: amounts and days as text."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Decimal | date) else value
