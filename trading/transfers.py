"""Shares that come in from elsewhere, or leave again, without money: lots and positions at what they had cost.

Coming in they keep their original cost and day of purchase; the journal carries them against capital.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from core.errors import IntegrityBroken, Refused
from core.money import ZERO
from database.queries import ledger as queries
from database.queries import positions as position_queries
from database.queries.positions import OpenLot, ReturnedLot
from database.session import Session
from trading.ledger import Entry, Line, book_entries, booking_day, move_positions, require_sound_books


class ArrivingLot(NamedTuple):
    """A lot that comes in."""

    instrument_id: int
    opened_on: date
    quantity: Decimal
    cost_usd: Decimal


def book_transfer(
    session: Session,
    *,
    account_id: int,
    on: date,
    source_key: str,
    memo: str,
    arriving: Sequence[ArrivingLot],
    leaving: Sequence[OpenLot],
) -> int:
    """Bring lots in and take whole lots out, in one entry of the journal; returns the entry's number.

    `leaving` must be as the caller locked them. Raises IntegrityBroken where the books do not agree afterwards.
    """
    closed_on = position_queries.last_valued_on(session, account_ids=[account_id]).get(account_id)
    moves = [(lot.instrument_id, lot.quantity, lot.cost_usd) for lot in arriving]
    moves += [(lot.instrument_id, -lot.remaining, -lot.remaining_cost_usd) for lot in leaving]
    entry = Entry(on, "transfer", source_key, memo, _lines(moves))
    entry_id = _book(session, account_id, entry, closed_on)
    booked_on = booking_day(on, closed_on=closed_on)
    position_queries.insert_lots(
        session,
        lots=[
            {
                "account_id": account_id,
                "instrument_id": lot.instrument_id,
                "entry_id": entry_id,
                "opened_on": lot.opened_on,
                "quantity": lot.quantity,
                "remaining": lot.quantity,
                "cost_usd": lot.cost_usd,
                "remaining_cost_usd": lot.cost_usd,
            }
            for lot in arriving
        ],
    )
    _empty_lots(session, [lot.lot_id for lot in leaving], booked_on)
    move_positions(session, account_id, moves)
    require_sound_books(session, account_id=account_id)
    return entry_id


def reverse_transfer(
    session: Session,
    *,
    account_id: int,
    on: date,
    source_key: str,
    memo: str,
    entry_id: int,
    arrived: Collection[ArrivingLot],
    returning: Sequence[ReturnedLot],
) -> int:
    """Undo a transfer by an entry that reverses it: what came in leaves, `returning` are open again.

    Refused where one of the lots that came in has been sold from, split or taken out since.
    """
    standing = position_queries.lots_of_entry(session, entry_id=entry_id)
    untouched = sorted(
        (lot.instrument_id, lot.opened_on, lot.remaining, lot.remaining_cost_usd) for lot in standing if lot.remaining
    )
    if untouched != sorted(tuple(lot) for lot in arrived):
        raise Refused("some of the shares that came in were sold, split or taken out since: it cannot be undone")
    closed_on = position_queries.last_valued_on(session, account_ids=[account_id]).get(account_id)
    moves = [(lot.instrument_id, -lot.remaining, -lot.remaining_cost_usd) for lot in standing]
    moves += [(lot.instrument_id, lot.remaining, lot.remaining_cost_usd) for lot in returning]
    entry = Entry(on, "reversal", source_key, memo, _lines(moves), reverses_entry_id=entry_id)
    reversal_id = _book(session, account_id, entry, closed_on)
    _empty_lots(session, [lot.lot_id for lot in standing], booking_day(on, closed_on=closed_on))
    position_queries.update_lots(
        session,
        lots=[
            {
                "lot_id": lot.lot_id,
                "remaining": lot.remaining,
                "remaining_cost_usd": lot.remaining_cost_usd,
                "closed_on": None,
            }
            for lot in returning
        ],
    )
    move_positions(session, account_id, moves)
    require_sound_books(session, account_id=account_id)
    return reversal_id


def _book(session: Session, account_id: int, entry: Entry, closed_on: date | None) -> int:
    if not book_entries(session, account_id=account_id, entries=[entry], closed_on=closed_on):
        raise Refused(f"{entry.source_key} of account {account_id} is booked already")
    found = queries.entry_id_of(session, account_id=account_id, source_key=entry.source_key)
    if found is None:
        raise IntegrityBroken(f"{entry.source_key} of account {account_id} was booked and is not there")
    return found


def _lines(moves: Sequence[tuple[int, Decimal, Decimal]]) -> tuple[Line, ...]:
    """A line for what each instrument gains and one for what it loses, and capital against them all."""
    sums: dict[tuple[int, bool], tuple[Decimal, Decimal]] = defaultdict(lambda: (ZERO, ZERO))
    for instrument_id, quantity, cost_usd in moves:
        shares, cost = sums[instrument_id, quantity > 0]
        sums[instrument_id, quantity > 0] = (shares + quantity, cost + cost_usd)
    lines = [Line("securities", cost, key, shares) for (key, _), (shares, cost) in sorted(sums.items())]
    return (*lines, Line("capital", -sum((line.amount_usd for line in lines), ZERO)))


def _empty_lots(session: Session, lot_ids: Sequence[int], on: date) -> None:
    emptied = {"remaining": ZERO, "remaining_cost_usd": ZERO, "closed_on": on}
    position_queries.update_lots(session, lots=[{"lot_id": lot_id, **emptied} for lot_id in lot_ids])
