"""Each account of a book as it stands on a night: cash, holdings, limits, prices, orders under way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from core.money import ZERO, money, price
from database.queries import accounts as account_queries
from database.queries import ledger as ledger_queries
from database.queries import orders as order_queries
from database.queries import positions as position_queries
from database.queries import quotes
from database.queries.instruments import instruments_by_id
from database.session import Session
from database.tables.accounts import Account, Mandate
from quant.costs import VOLUME_SESSIONS
from trading.order import OPEN
from trading.risk_rule import PriceFacts


@dataclass(frozen=True)
class Listing:
    """What an instrument is called and where it belongs."""

    symbol: str
    sector: str | None


@dataclass(frozen=True)
class Portfolio:
    """One account on one night. `prices` holds every instrument of interest that has a price."""

    account: Account
    mandate: Mandate
    cash_usd: Decimal
    reserved_usd: Decimal
    holdings: dict[int, Decimal]
    frozen: frozenset[int]
    restricted: dict[int, str]
    prices: dict[int, PriceFacts]
    listings: dict[int, Listing]

    @property
    def value_usd(self) -> Decimal:
        """Cash and holdings at their last closes."""
        return self.cash_usd + holdings_value(self.holdings, self.prices)


def holdings_value(holdings: Mapping[int, Decimal], prices: Mapping[int, PriceFacts]) -> Decimal:
    """Holdings at their last closes, each rounded to the cent."""
    return sum((money(quantity * prices[key].close) for key, quantity in holdings.items()), ZERO)


def read_prices(session: Session, *, instrument_ids: set[int], as_of: date) -> dict[int, PriceFacts]:
    """The newest closes not after `as_of`."""
    found = quotes.quotes_on(session, instrument_ids=instrument_ids, as_of=as_of, volume_sessions=VOLUME_SESSIONS)
    return {
        key: PriceFacts(
            price_on=quote.session_on,
            close=price(quote.close),
            previous_close=None if quote.previous_close is None else price(quote.previous_close),
            average_volume=Decimal(str(quote.average_volume)),
        )
        for key, quote in found.items()
    }


def read_portfolios(
    session: Session, *, accounts: Sequence[Account], as_of: date, instrument_ids: set[int]
) -> list[Portfolio]:
    """The accounts with a mandate on `as_of` and a price for all they hold; priced for `instrument_ids` too."""
    ids = [account.account_id for account in accounts]
    mandates = account_queries.mandates_on(session, account_ids=ids, as_of=as_of)
    cash = ledger_queries.cash_on(session, account_ids=ids, until_on=date.max)
    held = position_queries.positions_of(session, account_ids=ids)
    reserved = order_queries.open_buys_usd(session, account_ids=ids)
    restricted = account_queries.restricted_instruments(session, account_ids=ids)
    under_way: dict[int, set[int]] = {}
    for order in order_queries.orders_in(session, account_ids=ids, states=OPEN):
        under_way.setdefault(order.account_id, set()).add(order.instrument_id)
    wanted = instrument_ids.union(*(positions.keys() for positions in held.values()))
    prices = read_prices(session, instrument_ids=wanted, as_of=as_of)
    listings = {
        key: Listing(symbol=row.symbol, sector=row.sector)
        for key, row in instruments_by_id(session, ids=wanted).items()
    }
    return [
        Portfolio(
            account=account,
            mandate=mandates[account.account_id],
            cash_usd=cash[account.account_id],
            reserved_usd=reserved.get(account.account_id, ZERO),
            holdings={key: holding.quantity for key, holding in held[account.account_id].items()},
            frozen=frozenset(under_way.get(account.account_id, ())),
            restricted=restricted.get(account.account_id, {}),
            prices=prices,
            listings=listings,
        )
        for account in accounts
        if account.account_id in mandates and held[account.account_id].keys() <= prices.keys()
    ]
