"""Tax lots: what is open with its unrealised gain, what was closed with its realised one, short or long held."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from core.money import ZERO, Money, money
from database.queries.portfolios import ClosedLot, StockRow
from portfolios.book import Book, Prices

Term = Literal["short", "long"]


@dataclass(frozen=True)
class LotLine:
    """One lot, or the part of one that a sale closed. Of an open lot the gain is unrealised, at the last close."""

    lot_id: int
    account_id: int
    account: str | None
    taxation: str | None
    instrument_id: int
    symbol: str
    name: str
    status: Literal["open", "closed"]
    opened_on: date
    closed_on: date | None
    quantity: Decimal
    cost_usd: Money
    worth_usd: Money | None
    gain_usd: Money | None
    term: Term
    days_held: int
    long_from_on: date


@dataclass(frozen=True)
class Gains:
    """Sums by term; `is_partial` where a lot has no price."""

    short_usd: Money
    long_usd: Money
    is_partial: bool


def open_lots(books: Sequence[Book], prices: Prices, *, as_of: date) -> list[LotLine]:
    """What is held, lot by lot; `worth_usd` is the value."""
    return [
        _line(
            book=book,
            lot_id=lot.lot_id,
            stock=prices.stocks[lot.instrument_id],
            opened_on=lot.opened_on,
            closed_on=None,
            until_on=max(as_of, lot.opened_on),
            quantity=lot.quantity,
            cost=lot.cost_usd,
            worth=money(lot.quantity * mark.close) if mark is not None else None,
        )
        for book in books
        for lot in book.lots
        for mark in (prices.marks.get(lot.instrument_id),)
    ]


def closed_lots(books: Sequence[Book], closed: Iterable[ClosedLot], stocks: Mapping[int, StockRow]) -> list[LotLine]:
    """What sales closed; `worth_usd` is what they brought."""
    by_account = {book.account_id: book for book in books}
    return [
        _line(
            book=by_account[lot.account_id],
            lot_id=lot.lot_id,
            stock=stocks[lot.instrument_id],
            opened_on=lot.opened_on,
            closed_on=lot.closed_on,
            until_on=lot.closed_on,
            quantity=lot.quantity,
            cost=lot.cost_usd,
            worth=lot.proceeds_usd,
        )
        for lot in closed
    ]


def sum_gains(lines: Iterable[LotLine]) -> Gains:
    """Gains less losses by term."""
    sums: dict[str, Money] = {"short": ZERO, "long": ZERO}
    is_partial = False
    for line in lines:
        if line.gain_usd is None:
            is_partial = True
        else:
            sums[line.term] += line.gain_usd
    return Gains(sums["short"], sums["long"], is_partial)


def long_from(opened_on: date) -> date:
    """The first day on which a lot is held for more than a year (US tax: the day after the anniversary)."""
    is_leap_day = (opened_on.month, opened_on.day) == (2, 29)
    anniversary = opened_on.replace(year=opened_on.year + 1, day=28 if is_leap_day else opened_on.day)
    return anniversary + timedelta(days=1)


def _line(
    *,
    book: Book,
    lot_id: int,
    stock: StockRow,
    opened_on: date,
    closed_on: date | None,
    until_on: date,
    quantity: Decimal,
    cost: Money,
    worth: Money | None,
) -> LotLine:
    turns_on = long_from(opened_on)
    return LotLine(
        lot_id=lot_id,
        account_id=book.account_id,
        account=book.account.account,
        taxation=book.account.taxation,
        instrument_id=stock.instrument_id,
        symbol=stock.symbol,
        name=stock.name,
        status="open" if closed_on is None else "closed",
        opened_on=opened_on,
        closed_on=closed_on,
        quantity=quantity,
        cost_usd=cost,
        worth_usd=worth,
        gain_usd=None if worth is None else worth - cost,
        term="long" if until_on >= turns_on else "short",
        days_held=(until_on - opened_on).days,
        long_from_on=turns_on,
    )
