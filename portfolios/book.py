"""Accounts as they stand on a day, read together: whatever is asked of them afterwards is arithmetic.

Now means all that is booked, the fills of tonight's orders included, at the closes of the newest session that the
firm has lived. A day of the past means what was booked until its close.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from core.money import ZERO, Money, money, price
from database.queries import accounts as account_queries
from database.queries import ledger as ledger_queries
from database.queries import portfolios as queries
from database.queries import quotes as quote_queries
from database.queries import targets as target_queries
from database.queries.portfolios import AccountRow, HeldLot, RankRow, StockRow
from database.session import Session
from database.tables.accounts import Mandate


@dataclass(frozen=True)
class Moment:
    """Prices of `as_of`; everything that is booked not after `until_on`."""

    as_of: date
    until_on: date

    @property
    def is_now(self) -> bool:
        """Whether later bookings count too."""
        return self.until_on > self.as_of


@dataclass(frozen=True)
class PriceMark:
    """The newest close not after the day, and the one before it."""

    price_on: date
    close: Decimal
    previous_close: Decimal | None


@dataclass(frozen=True)
class Plan:
    """What an account should hold by its newest target."""

    session_on: date
    strategy: str
    cash_weight: Decimal
    weights: Mapping[int, Decimal]


@dataclass(frozen=True)
class Prices:
    """What is known of the market on the day; `market_on` is its newest session with bars."""

    market_on: date | None
    marks: Mapping[int, PriceMark]
    stocks: Mapping[int, StockRow]
    ranks: Mapping[tuple[str, int], RankRow] = field(default_factory=dict)

    def is_stale(self, instrument_id: int) -> bool:
        """Whether the newest price is older than the market's newest session."""
        mark = self.marks.get(instrument_id)
        return mark is not None and self.market_on is not None and mark.price_on < self.market_on


@dataclass(frozen=True)
class Book:
    """One account. `quantities` sum its lots; `restricted` names what forbids an instrument."""

    account: AccountRow
    cash_usd: Money
    lots: tuple[HeldLot, ...]
    limits: Mandate | None
    plan: Plan | None
    restricted: Mapping[int, str]

    @property
    def account_id(self) -> int:
        """The account's number."""
        assert self.account.account_id is not None
        return self.account.account_id

    @property
    def quantities(self) -> dict[int, Decimal]:
        """Shares by instrument."""
        found: dict[int, Decimal] = {}
        for lot in self.lots:
            found[lot.instrument_id] = found.get(lot.instrument_id, ZERO) + lot.quantity
        return found

    def value_usd(self, prices: Prices) -> Money:
        """Cash and all holdings that have a price."""
        return self.cash_usd + sum(position_values(self, prices).values(), ZERO)


def position_values(book: Book, prices: Prices) -> dict[int, Money]:
    """Value of each holding that has a price, to the cent."""
    return {
        key: money(quantity * prices.marks[key].close)
        for key, quantity in book.quantities.items()
        if key in prices.marks
    }


def unpriced(book: Book, prices: Prices) -> set[int]:
    """Holdings that nobody can price: what they are worth is unknown, not nothing."""
    return {lot.instrument_id for lot in book.lots} - prices.marks.keys()


def read_books(session: Session, *, accounts: Sequence[AccountRow], moment: Moment) -> tuple[list[Book], Prices]:
    """The accounts with their holdings, plans and prices, in a number of queries that does not depend on theirs."""
    ids = [row.account_id for row in accounts if row.account_id is not None]
    if not ids:
        return [], Prices(None, {}, {})
    cash = ledger_queries.cash_on(session, account_ids=ids, until_on=moment.until_on)
    lots: dict[int, list[HeldLot]] = {key: [] for key in ids}
    for lot in queries.lots_held(session, account_ids=ids, until_on=moment.until_on):
        lots[lot.account_id].append(lot)
    mandates = account_queries.mandates_on(session, account_ids=ids, as_of=moment.as_of)
    restricted = account_queries.restricted_instruments(session, account_ids=ids)
    plans = _read_plans(session, ids, moment.as_of)
    held = {lot.instrument_id for own in lots.values() for lot in own}
    planned = {key for plan in plans.values() for key in plan.weights}
    books = [
        Book(
            account=row,
            cash_usd=cash[row.account_id],
            lots=tuple(lots[row.account_id]),
            limits=mandates.get(row.account_id),
            plan=plans.get(row.account_id),
            restricted=restricted.get(row.account_id, {}),
        )
        for row in accounts
        if row.account_id is not None
    ]
    return books, _read_prices(session, held | planned, plans.values(), moment.as_of)


def _read_plans(session: Session, account_ids: Sequence[int], as_of: date) -> dict[int, Plan]:
    targets = queries.newest_targets(session, account_ids=account_ids, as_of=as_of)
    weights = target_queries.target_weights(session, target_ids=[row.target_id for row in targets.values()])
    return {
        key: Plan(row.session_on, row.strategy, row.cash_weight, weights[row.target_id]) for key, row in targets.items()
    }


def _read_prices(session: Session, instrument_ids: set[int], plans: Collection[Plan], as_of: date) -> Prices:
    quotes = quote_queries.quotes_on(session, instrument_ids=instrument_ids, as_of=as_of, volume_sessions=2)
    screened_on = max((plan.session_on for plan in plans), default=None)
    ranks = (
        queries.ranks_of(session, session_on=screened_on, instrument_ids=instrument_ids)
        if screened_on is not None
        else []
    )
    return Prices(
        market_on=queries.last_bars_on(session, as_of=as_of),
        marks={
            key: PriceMark(
                price_on=quote.session_on,
                close=price(quote.close),
                previous_close=None if quote.previous_close is None else price(quote.previous_close),
            )
            for key, quote in quotes.items()
        },
        stocks=queries.stocks_of(session, instrument_ids=instrument_ids),
        ranks={(row.strategy, row.instrument_id): row for row in ranks},
    )
