"""What every broker must do, numbered BR-01 onwards. A new broker adds a bench here and passes all of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.orm import Session

from core.clock import fixed_clock
from database.queries.orders import insert_orders, move_orders, orders_by_client_id, set_broker_ids
from database.tables.accounts import Account
from market_data.calendars import session_open
from tests.factories.nights import create_funded_account
from tests.factories.quotes import NEXT, NIGHT, SESSIONS, create_priced_stock, create_stock
from tests.factories.targets import create_target
from trading.broker import STATUSES, Answer, BrokerOrder, Ticket
from trading.brokers import BROKERS
from trading.order import client_order_id

D = Decimal


@dataclass
class Bench:
    """A broker with one funded account, three stocks at 100 USD, and the means to place orders as `execute` does."""

    session: Session
    name: str
    account: Account
    stocks: list[int]
    target_id: int

    def ticket(self, instrument_id: int, side: str, quantity: str) -> Ticket:
        key = client_order_id(account_id=self.account.account_id, target_id=self.target_id, instrument_id=instrument_id)
        return Ticket(key, self.account.account_id, instrument_id, side, D(quantity))

    def send(self, *tickets: Ticket) -> list[Answer]:
        """Orders in our books, sent, answers recorded."""
        rows = [
            {
                "client_order_id": ticket.client_order_id,
                "account_id": ticket.account_id,
                "instrument_id": ticket.instrument_id,
                "session_on": NIGHT,
                "side": ticket.side,
                "quantity": ticket.quantity,
                "state": "sending",
                "broker": self.name,
            }
            for ticket in tickets
        ]
        ids = insert_orders(self.session, rows=rows)
        answers = BROKERS[self.name](self.session, NIGHT).submit(tickets)
        known = orders_by_client_id(self.session, client_order_ids=[t.client_order_id for t in tickets])
        set_broker_ids(
            self.session,
            pairs=[(known[a.client_order_id].order_id, a.broker_order_id) for a in answers if a.broker_order_id],
        )
        move_orders(self.session, order_ids=ids, from_state="sending", to_state="accepted")
        return answers

    def find(self, *tickets: Ticket, open_until: date = NEXT) -> list[BrokerOrder]:
        found = BROKERS[self.name](self.session, open_until).find([ticket.client_order_id for ticket in tickets])
        return [found[ticket.client_order_id] for ticket in tickets]


def paper_bench(session: Session) -> Bench:
    account = create_funded_account(session, opened_on=date(2017, 6, 1))
    stocks = [create_priced_stock(session, symbol) for symbol in ("AAA", "BBB", "CCC")]
    target = create_target(session, account, session_on=NIGHT, weights={stocks[0]: D("0.5")})
    return Bench(session, "paper", account, stocks, target.target_id)


BENCHES: dict[str, Callable[[Session], Bench]] = {"paper": paper_bench}


@pytest.fixture(params=sorted(BROKERS))
def bench(request: pytest.FixtureRequest, session: Session) -> Bench:
    return BENCHES[request.param](session)


def test_br_00_every_broker_has_a_bench() -> None:
    assert set(BENCHES) == set(BROKERS)


def test_br_01_accepts_a_good_order_with_its_own_id(bench: Bench) -> None:
    ticket = bench.ticket(bench.stocks[0], "buy", "10")
    (answer,) = bench.send(ticket)
    assert (answer.client_order_id, answer.status) == (ticket.client_order_id, "accepted")
    assert answer.broker_order_id


def test_br_02_the_same_ticket_twice_is_one_order(bench: Bench) -> None:
    if not BROKERS[bench.name](bench.session, NIGHT).capabilities.remembers_client_ids:
        pytest.skip("this broker does not promise it, execute never relies on it")
    ticket = bench.ticket(bench.stocks[0], "buy", "10")
    first = bench.send(ticket)
    assert BROKERS[bench.name](bench.session, NIGHT).submit([ticket]) == first


@pytest.mark.parametrize("quantity", ["0.5", "0", "-3"])
def test_br_03_rejects_what_is_no_whole_number_of_shares(bench: Bench, quantity: str) -> None:
    broker = BROKERS[bench.name](bench.session, NIGHT)
    if not broker.capabilities.whole_shares_only:
        pytest.skip("this broker trades fractions")
    (answer,) = broker.submit([bench.ticket(bench.stocks[0], "buy", quantity)])
    assert answer.status == "rejected"
    assert answer.raw["reason"]


def test_br_04_answers_come_one_for_each_ticket_in_order(bench: Bench) -> None:
    tickets = [bench.ticket(key, "buy", "10") for key in bench.stocks]
    assert [answer.client_order_id for answer in bench.send(*tickets)] == [t.client_order_id for t in tickets]


def test_br_05_does_not_find_what_it_never_had(bench: Bench) -> None:
    assert BROKERS[bench.name](bench.session, NEXT).find(["acis-never-sent"]) == {}


def test_br_06_finds_an_order_with_our_fields(bench: Bench) -> None:
    ticket = bench.ticket(bench.stocks[0], "buy", "10")
    bench.send(ticket)
    (order,) = bench.find(ticket)
    assert (order.instrument_id, order.side, order.quantity) == (bench.stocks[0], "buy", D(10))
    assert order.status in STATUSES


def test_br_07_does_not_fill_before_the_next_session(bench: Bench) -> None:
    ticket = bench.ticket(bench.stocks[0], "buy", "10")
    bench.send(ticket)
    (order,) = bench.find(ticket, open_until=NIGHT)
    assert (order.status, order.executions) == ("accepted", ())


def test_br_08_fills_at_the_next_session_against_us(bench: Bench) -> None:
    ticket = bench.ticket(bench.stocks[0], "buy", "10")
    bench.send(ticket)
    (order,) = bench.find(ticket)
    assert order.status == "filled"
    (execution,) = order.executions
    assert execution.session_on == NEXT
    assert execution.filled_at.tzinfo is not None
    assert execution.quantity == D(10)
    assert execution.price > execution.market_price == D(100)
    assert execution.commission_usd > 0
    assert execution.spread_cost_usd >= 0
    assert execution.impact_cost_usd >= 0


def test_br_09_asking_again_gives_the_same_answer(bench: Bench) -> None:
    tickets = [bench.ticket(key, "buy", "10") for key in bench.stocks]
    bench.send(*tickets)
    assert bench.find(*tickets) == bench.find(*tickets)
    assert bench.find(tickets[1]) == bench.find(*tickets)[1:2]


def test_br_10_executions_have_ids_of_their_own(bench: Bench) -> None:
    tickets = [bench.ticket(key, "buy", "10") for key in bench.stocks]
    bench.send(*tickets)
    ids = [execution.broker_fill_id for order in bench.find(*tickets) for execution in order.executions]
    assert len(set(ids)) == len(tickets)


def test_br_11_never_spends_cash_that_is_not_there(bench: Bench) -> None:
    tickets = [bench.ticket(key, "buy", "5000") for key in bench.stocks]
    bench.send(*tickets)
    orders = bench.find(*tickets)
    spent = sum((e.quantity * e.price + e.commission_usd for order in orders for e in order.executions), D(0))
    assert D(999_000) < spent <= D(1_000_000)
    assert [order.status for order in orders] == ["filled", "expired", "rejected"]
    assert orders[1].raw["reason"]


def test_br_12_never_sells_what_is_not_held(bench: Bench) -> None:
    ticket = bench.ticket(bench.stocks[0], "sell", "10")
    bench.send(ticket)
    (order,) = bench.find(ticket)
    assert (order.status, order.executions) == ("rejected", ())


def test_br_13_waits_for_a_halted_stock_then_expires(bench: Bench) -> None:
    halted = create_stock(bench.session, "HALT")
    create_priced = bench.ticket(halted, "buy", "10")
    bench.send(create_priced)
    place = SESSIONS.index(NIGHT)
    states = [bench.find(create_priced, open_until=day)[0].status for day in SESSIONS[place + 1 : place + 5]]
    assert states == ["accepted", "accepted", "expired", "expired"]


def test_br_14_fills_a_halted_stock_when_it_trades_again(bench: Bench) -> None:
    place = SESSIONS.index(NIGHT)
    key = create_priced_stock(bench.session, "BACK", sessions=[*SESSIONS[: place + 1], *SESSIONS[place + 3 :]])
    ticket = bench.ticket(key, "buy", "10")
    bench.send(ticket)
    (order,) = bench.find(ticket, open_until=SESSIONS[place + 3])
    assert [execution.session_on for execution in order.executions] == [SESSIONS[place + 3]]


def test_br_15_takes_back_what_no_open_has_met(bench: Bench) -> None:
    ticket = bench.ticket(bench.stocks[0], "buy", "10")
    bench.send(ticket)
    (answer,) = BROKERS[bench.name](bench.session, NIGHT).cancel([ticket.client_order_id])
    assert (answer.client_order_id, answer.status) == (ticket.client_order_id, "canceled")
    assert answer.raw["reason"]


def test_br_16_a_fill_beats_the_wish_to_cancel(bench: Bench) -> None:
    ticket = bench.ticket(bench.stocks[0], "buy", "10")
    bench.send(ticket)
    (answer,) = BROKERS[bench.name](bench.session, NEXT).cancel([ticket.client_order_id])
    assert answer.status == "asked"
    (order,) = bench.find(ticket)
    assert order.status == "filled"


def test_br_17_takes_nothing_back_once_the_exchange_has_opened(bench: Bench) -> None:
    """Whoever has seen the morning's prices would take back the losers only."""
    waiting = bench.ticket(create_stock(bench.session, "WAIT"), "buy", "10")
    with fixed_clock(session_open(NEXT) - timedelta(hours=12)):
        bench.send(waiting)
    broker = BROKERS[bench.name](bench.session, NIGHT)
    with fixed_clock(session_open(NEXT) - timedelta(seconds=1)):
        assert broker.cancel([waiting.client_order_id])[0].status == "canceled"
    with fixed_clock(session_open(NEXT)):
        assert broker.cancel([waiting.client_order_id])[0].status == "asked"
