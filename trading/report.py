"""What a night did to each client: cash and value before and after, orders, refusals with reasons, fills."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal

from core.money import CENT, ZERO, money
from database.queries import accounts as account_queries
from database.queries import fills as fill_queries
from database.queries import households
from database.queries import orders as order_queries
from database.queries import positions as position_queries
from database.queries.orders import OrderRow
from database.session import Session
from database.tables.fills import Fill
from database.tables.orders import STATES
from trading.order import OPEN
from trading.portfolio import read_prices


@dataclass(frozen=True)
class Refusal:
    """A recommendation that a rule refused."""

    recommendation_id: int
    symbol: str
    side: str
    quantity: Decimal
    rule: str
    reason: str


@dataclass(frozen=True)
class ClientReport:
    """One account's night.

    `*_before` are the account at the session's close, `*_after` once the night's orders were filled: cash, and value
    with bought shares at the market's price of their fill and all others at the session's close.
    `cash_floor_usd` is the mandate's least cash, on the value before. Refused recommendations count once in `refused`,
    however many rules refused them.
    """

    client: str
    account_id: int
    account: str
    status: str
    cash_before_usd: Decimal
    value_before_usd: Decimal
    cash_after_usd: Decimal
    value_after_usd: Decimal
    cash_floor_usd: Decimal
    positions: int
    orders: int
    fills: int
    waiting: int
    proposed: int
    refused: int
    traded_usd: Decimal
    costs_usd: Decimal
    refusals: tuple[Refusal, ...]


def report_accounts(session: Session, *, book: str, as_of: date) -> list[ClientReport]:
    """The reports of the accounts that were valued on `as_of`, by client."""
    rows = households.client_accounts(session, book=book)
    ids = [row.Account.account_id for row in rows]
    valuations = position_queries.valuations_on(session, account_ids=ids, session_on=as_of)
    held = position_queries.positions_of(session, account_ids=ids)
    mandates = account_queries.mandates_on(session, account_ids=ids, as_of=as_of)
    trading = _trading(session, ids, as_of)
    proposed = Counter(
        row.account_id for row in order_queries.recommendations_on(session, account_ids=ids, session_on=as_of)
    )
    refusals: dict[int, list[Refusal]] = defaultdict(list)
    for refused in order_queries.refusals_on(session, account_ids=ids, session_on=as_of):
        refusals[refused.account_id].append(
            Refusal(
                recommendation_id=refused.recommendation_id,
                symbol=refused.symbol,
                side=refused.side,
                quantity=refused.quantity,
                rule=refused.rule,
                reason=refused.reason,
            )
        )
    reports = []
    for row in rows:
        key = row.Account.account_id
        if key not in valuations or key not in mandates:
            continue
        done = trading.get(key, _Trading())
        value_before = valuations[key].cash_usd + valuations[key].securities_usd
        reports.append(
            ClientReport(
                client=row.Client.name,
                account_id=key,
                account=row.Account.name,
                status=row.Account.status,
                cash_before_usd=valuations[key].cash_usd,
                value_before_usd=value_before,
                cash_after_usd=valuations[key].cash_usd + done.cash_usd,
                value_after_usd=value_before + done.value_usd,
                cash_floor_usd=(mandates[key].cash_weight_min * value_before).quantize(CENT, ROUND_FLOOR),
                positions=len(held[key]),
                proposed=proposed[key],
                refused=len({refusal.recommendation_id for refusal in refusals[key]}),
                orders=done.orders,
                fills=done.fills,
                waiting=done.waiting,
                traded_usd=done.traded_usd,
                costs_usd=done.costs_usd,
                refusals=tuple(refusals[key]),
            )
        )
    return reports


@dataclass
class _Trading:
    """What one account's orders of the night came to; `cash_usd` and `value_usd` are changes."""

    orders: int = 0
    fills: int = 0
    waiting: int = 0
    cash_usd: Decimal = ZERO
    value_usd: Decimal = ZERO
    traded_usd: Decimal = ZERO
    costs_usd: Decimal = ZERO

    def add(self, order: OrderRow, fill: Fill, close: Decimal) -> None:
        """Count one execution; bought shares are worth the market's price, sold ones were worth the close."""
        notional = money(fill.quantity * fill.price)
        bought = order.side == "buy"
        cash = (-notional if bought else notional) - fill.commission_usd
        worth = money(fill.quantity * (fill.market_price if bought else close))
        self.fills += 1
        self.cash_usd += cash
        self.value_usd += cash + (worth if bought else -worth)
        self.traded_usd += notional
        self.costs_usd += fill.commission_usd + fill.spread_cost_usd + fill.impact_cost_usd


def _trading(session: Session, account_ids: Sequence[int], as_of: date) -> dict[int, _Trading]:
    orders = order_queries.orders_in(session, account_ids=account_ids, states=STATES, session_on=as_of)
    fills = fill_queries.fills_of(session, order_ids=[order.order_id for order in orders])
    closes = read_prices(session, instrument_ids={order.instrument_id for order in orders}, as_of=as_of)
    found: dict[int, _Trading] = defaultdict(_Trading)
    for order in orders:
        done = found[order.account_id]
        done.orders += 1
        done.waiting += order.state in OPEN
        for fill in fills.get(order.order_id, []):
            done.add(order, fill, closes[order.instrument_id].close)
    return found
