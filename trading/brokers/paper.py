"""The paper broker: fills at the next session's open with spread and impact, by the platform's one simulator.

It keeps no state of its own. An order that it has accepted is an `orders` row with its broker id, a fill that it has
made is a `fills` row, and what is not there yet follows from the bars: asking again gives the same answer. All orders
of an account that meet at one open are settled together, sales first, buys while cash above the mandate's floor lasts.
An order whose stock has no bar on a session waits for the next one, `GOOD_SESSIONS` in all, then expires; where the
exchange's next session is not known yet it stays accepted.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from decimal import ROUND_FLOOR, Decimal
from itertools import takewhile

from core.clock import now
from core.money import CENT, ZERO, money, price
from database.queries import fills as fill_queries
from database.queries import ledger as ledger_queries
from database.queries import orders as order_queries
from database.queries import positions as position_queries
from database.queries import quotes
from database.queries.orders import OrderRow
from database.session import Session
from database.tables.fills import Fill
from market_data.calendars import next_session, session_open, sessions_between
from quant.costs import STANDARD_COSTS, VOLUME_SESSIONS
from quant.simulator import Settlement, settle_account
from trading.broker import Answer, BrokerOrder, Capabilities, Execution, Ticket

GOOD_SESSIONS = 3


class PaperBroker:
    """See the module; `open_until` is the last session that the simulated exchange holds."""

    capabilities = Capabilities(
        whole_shares_only=True, remembers_client_ids=True, absence_proof_s=0, keeps_cash_floor=True
    )

    def __init__(self, session: Session, open_until: date) -> None:
        self.session = session
        self.open_until = open_until

    def submit(self, tickets: Sequence[Ticket]) -> list[Answer]:
        """Accepts what is a whole number of shares; the same ticket gets the same answer."""
        return [_answer(ticket) for ticket in tickets]

    def find(self, client_order_ids: Collection[str]) -> dict[str, BrokerOrder]:
        """The orders that were accepted, with the fills that follow from the bars so far."""
        asked = order_queries.orders_by_client_id(self.session, client_order_ids=client_order_ids)
        had = {key: order for key, order in asked.items() if order.broker_order_id is not None}
        filled = fill_queries.fills_of(self.session, order_ids=[order.order_id for order in had.values()])
        found = {
            key: _done(order, filled.get(order.order_id, [])) for key, order in had.items() if not _is_waiting(order)
        }
        waiting = {order.account_id for order in had.values() if _is_waiting(order)}
        if waiting:
            settled = self._settle(waiting)
            found |= {key: settled[key] for key, order in had.items() if _is_waiting(order)}
        return found

    def cancel(self, client_order_ids: Collection[str]) -> list[Answer]:
        """Takes back what no open has met: neither one whose bars are there, nor one that the clock has passed.

        An order of the past was taken after its open already; there the bars alone tell what the exchange has held.
        """
        asked = order_queries.orders_by_client_id(self.session, client_order_ids=client_order_ids)
        found = self.find(client_order_ids)
        return [_taken_back(asked[key], found.get(key)) for key in client_order_ids]

    def _settle(self, account_ids: Collection[int]) -> dict[str, BrokerOrder]:
        """All waiting orders of the accounts, carried through the sessions that the exchange has held."""
        orders = [
            order
            for order in order_queries.orders_in(self.session, account_ids=account_ids, states=("accepted", "unknown"))
            if order.broker_order_id is not None
        ]
        first_on = min(order.session_on for order in orders)
        sessions = list(
            takewhile(
                lambda day: quotes.has_bars(self.session, session_on=day),
                sessions_between(first_on + timedelta(days=1), self.open_until),
            )
        )
        if not sessions:
            return {order.client_order_id: _waiting(order) for order in orders}
        by_account: dict[int, list[OrderRow]] = defaultdict(list)
        for order in orders:
            by_account[order.account_id].append(order)
        exchange = _Exchange(
            self.session, orders=orders, account_ids=account_ids, first_on=first_on, until_on=sessions[-1]
        )
        found: dict[str, BrokerOrder] = {}
        for account_id, queue in by_account.items():
            found |= exchange.settle_queue(account_id, queue, sessions)
        return found


class _Exchange:
    """Opens, volumes and the accounts' cash and shares, read once and carried through the sessions in memory."""

    def __init__(
        self,
        session: Session,
        *,
        orders: Sequence[OrderRow],
        account_ids: Collection[int],
        first_on: date,
        until_on: date,
    ) -> None:
        self.session = session
        self.cash = ledger_queries.cash_on(session, account_ids=account_ids, until_on=date.max)
        held = position_queries.positions_of(session, account_ids=account_ids)
        self.shares = {key: {i: int(p.quantity) for i, p in positions.items()} for key, positions in held.items()}
        self.floors = order_queries.cash_floors(session, order_ids=[order.order_id for order in orders])
        self.instruments = {order.instrument_id for order in orders}.union(*(p.keys() for p in held.values()))
        self.opens = quotes.opens_between(
            session,
            instrument_ids={order.instrument_id for order in orders},
            after_on=first_on,
            until_on=until_on,
        )
        self._quotes: dict[date, dict[int, quotes.Quote]] = {}

    def quotes_before(self, session_on: date) -> Mapping[int, quotes.Quote]:
        """Last closes and usual volumes as known before the open of `session_on`."""
        if session_on not in self._quotes:
            self._quotes[session_on] = quotes.quotes_on(
                self.session,
                instrument_ids=self.instruments,
                as_of=session_on - timedelta(days=1),
                volume_sessions=VOLUME_SESSIONS,
            )
        return self._quotes[session_on]

    def settle_queue(
        self, account_id: int, queue: Sequence[OrderRow], sessions: Sequence[date]
    ) -> dict[str, BrokerOrder]:
        """Carry one account's orders through `sessions`."""
        found: dict[str, BrokerOrder] = {}
        waiting = list(queue)
        for session_on in sessions:
            basket = [
                order
                for order in waiting
                if order.session_on < session_on and (order.instrument_id, session_on) in self.opens
            ]
            if basket:
                found |= self._settle_basket(account_id, basket, session_on)
            waiting = [order for order in waiting if order.client_order_id not in found]
            for order in list(waiting):
                if sum(order.session_on < day <= session_on for day in sessions) >= GOOD_SESSIONS:
                    found[order.client_order_id] = _ended(
                        order, "expired", f"no trade in the stock for {GOOD_SESSIONS} sessions"
                    )
                    waiting.remove(order)
        return found | {order.client_order_id: _waiting(order) for order in waiting}

    def _settle_basket(self, account_id: int, basket: Sequence[OrderRow], session_on: date) -> dict[str, BrokerOrder]:
        opens = [Decimal(str(self.opens[order.instrument_id, session_on].open)) for order in basket]
        before = self.quotes_before(session_on)
        shares = self.shares.setdefault(account_id, {})
        volumes = [
            before[order.instrument_id].average_volume if order.instrument_id in before else 0 for order in basket
        ]
        cash, outcomes = settle_account(
            cash_usd=self.cash[account_id],
            shares=[shares.get(order.instrument_id, 0) for order in basket],
            orders=[int(order.quantity) * (1 if order.side == "buy" else -1) for order in basket],
            prices=list(opens),
            volumes=volumes,
            floor_usd=self._floor_usd(account_id, basket, session_on),
            costs=STANDARD_COSTS,
        )
        self.cash[account_id] = cash
        found = {}
        for order, market_price, outcome in zip(basket, opens, outcomes, strict=True):
            shares[order.instrument_id] = shares.get(order.instrument_id, 0) + outcome.executed
            found[order.client_order_id] = _settled(order, outcome, market_price, session_on)
        return found

    def _floor_usd(self, account_id: int, basket: Sequence[OrderRow], session_on: date) -> Decimal:
        """The mandate's cash floor, on the account's value at the last closes before this open."""
        fraction = max((self.floors.get(order.order_id, ZERO) for order in basket), default=ZERO)
        before = self.quotes_before(session_on)
        value = self.cash[account_id] + sum(
            (
                money(quantity * price(before[key].close))
                for key, quantity in self.shares.get(account_id, {}).items()
                if key in before
            ),
            ZERO,
        )
        return (value * fraction).quantize(CENT, ROUND_FLOOR)


def _is_waiting(order: OrderRow) -> bool:
    return order.state in {"accepted", "unknown"} and order.filled_quantity == 0


def _taken_back(order: OrderRow, theirs: BrokerOrder | None) -> Answer:
    """The answer to a wish to cancel, from what became of the order by now."""
    if theirs is None or theirs.status != "accepted":
        return Answer(order.client_order_id, "asked", raw={"reason": "it is not waiting here"})
    opens_at = session_open(next_session(order.session_on))
    if order.changed_at < opens_at <= now():
        reason = f"the exchange opened at {opens_at:%Y-%m-%d %H:%M} New York time: too late to take it back"
        return Answer(order.client_order_id, "asked", raw={"reason": reason})
    return Answer(order.client_order_id, "canceled", theirs.broker_order_id, {"reason": "taken back before any fill"})


def _broker_id(client_order_id: str) -> str:
    return client_order_id.replace("acis-", "paper-", 1)


def _answer(ticket: Ticket) -> Answer:
    if ticket.quantity != ticket.quantity.to_integral_value() or ticket.quantity <= 0:
        raw = {"reason": f"{ticket.quantity} is not a whole number of shares"}
        return Answer(ticket.client_order_id, "rejected", raw=raw)
    return Answer(ticket.client_order_id, "accepted", broker_order_id=_broker_id(ticket.client_order_id))


def _order(
    order: OrderRow, status: str, executions: tuple[Execution, ...] = (), reason: str | None = None
) -> BrokerOrder:
    return BrokerOrder(
        client_order_id=order.client_order_id,
        broker_order_id=order.broker_order_id or _broker_id(order.client_order_id),
        instrument_id=order.instrument_id,
        side=order.side,
        quantity=order.quantity,
        status=status,
        executions=executions,
        raw={} if reason is None else {"reason": reason},
    )


def _waiting(order: OrderRow) -> BrokerOrder:
    return _order(order, "accepted")


def _ended(order: OrderRow, status: str, reason: str) -> BrokerOrder:
    return _order(order, status, reason=reason)


def _settled(order: OrderRow, outcome: Settlement, market_price: Decimal, session_on: date) -> BrokerOrder:
    quantity = Decimal(abs(outcome.executed))
    short = "cash above the floor was short" if order.side == "buy" else "fewer shares were held"
    if quantity == 0:
        return _ended(order, "rejected", f"at the open of {session_on} {short}")
    execution = Execution(
        broker_fill_id=f"{_broker_id(order.client_order_id)}:1",
        session_on=session_on,
        filled_at=session_open(session_on),
        quantity=quantity,
        market_price=market_price,
        price=outcome.price,
        commission_usd=outcome.commission_usd,
        spread_cost_usd=outcome.spread_cost_usd,
        impact_cost_usd=outcome.impact_cost_usd,
    )
    if quantity == order.quantity:
        return _order(order, "filled", (execution,))
    return _order(order, "expired", (execution,), f"filled {quantity} of {order.quantity} shares: {short}")


def _done(order: OrderRow, fills: Sequence[Fill]) -> BrokerOrder:
    """An order as its recorded state and fills tell it."""
    executions = tuple(
        Execution(
            broker_fill_id=fill.broker_fill_id,
            session_on=fill.session_on,
            filled_at=fill.filled_at,
            quantity=fill.quantity,
            market_price=fill.market_price,
            price=fill.price,
            commission_usd=fill.commission_usd,
            spread_cost_usd=fill.spread_cost_usd,
            impact_cost_usd=fill.impact_cost_usd,
        )
        for fill in fills
    )
    return _order(order, order.state, executions)
