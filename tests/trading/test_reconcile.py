"""Sending and settling with a broker that fails: lost answers, repeats, partial fills, statuses that nobody knows."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from database.queries import ledger as ledger_queries
from database.queries import orders as order_queries
from database.tables.accounts import Account
from database.tables.orders import STATES
from tests.factories.brokers import FaultyBroker
from tests.factories.nights import create_funded_account
from tests.factories.quotes import NEXT, NIGHT, create_priced_stock
from tests.factories.targets import create_target
from trading import service
from trading.broker import Capabilities
from trading.brokers import BROKERS

D = Decimal


@dataclass
class Night:
    """One account with two approved buys of 100,000 USD, and the broker they go to."""

    session: Session
    broker: FaultyBroker
    account: Account

    def send(self) -> list[service.Claim]:
        claims = service.claim_orders(self.session, as_of=NIGHT, book="paper")
        service.record_answers(self.session, answers=service.send_orders(self.session, claims=claims))
        return claims

    def reconcile(self) -> service.Reconciled:
        return service.reconcile_book(self.session, as_of=NIGHT, book="paper")

    def orders(self) -> list[order_queries.OrderRow]:
        return order_queries.orders_in(self.session, account_ids=[self.account.account_id], states=STATES)

    def states(self) -> list[str]:
        return [order.state for order in self.orders()]

    def ids(self) -> list[str]:
        return [order.client_order_id for order in self.orders()]

    def cash(self) -> Decimal:
        key = self.account.account_id
        return ledger_queries.cash_on(self.session, account_ids=[key], until_on=NEXT)[key]

    def status(self) -> str:
        self.session.refresh(self.account)
        return self.account.status


@pytest.fixture
def night(session: Session, monkeypatch: pytest.MonkeyPatch) -> Night:
    broker = FaultyBroker()
    monkeypatch.setitem(BROKERS, "paper", broker)
    account = create_funded_account(session, opened_on=NIGHT, position_weight_max="0.2")
    stocks = [create_priced_stock(session, symbol) for symbol in ("AAA", "BBB")]
    create_target(session, account, session_on=NIGHT, weights=dict.fromkeys(stocks, D("0.1")))
    service.settle_book(session, as_of=NIGHT, book="paper")
    service.propose_orders(session, as_of=NIGHT, book="paper")
    service.check_orders(session, as_of=NIGHT, book="paper")
    service.approve_autonomous(session, as_of=NIGHT, book="paper")
    return Night(session, broker, account)


class TestUnknownOutcome:
    def test_lost_answer_is_unknown_reserved_and_frozen(self, night: Night) -> None:
        """The broker took the orders, the answer never came."""
        night.broker.silent = True
        night.send()
        assert night.states() == ["unknown", "unknown"]
        reserved = order_queries.open_buys_usd(night.session, account_ids=[night.account.account_id])
        assert reserved == {night.account.account_id: D("200000.00")}
        create_target(
            night.session, night.account, session_on=NEXT, weights={night.orders()[0].instrument_id: D("0.2")}
        )
        night.broker.down = True
        service.settle_book(night.session, as_of=NEXT, book="paper")
        assert service.propose_orders(night.session, as_of=NEXT, book="paper") == 0

    def test_order_that_was_taken_is_adopted_not_sent_again(self, night: Night) -> None:
        night.broker.silent = True
        night.send()
        night.broker.silent = False
        night.reconcile()
        assert night.states() == ["accepted", "accepted"]
        assert [order.broker_order_id for order in night.orders()] == ["B1", "B2"]
        assert night.send() == []
        assert len(night.broker.sent) == 2

    def test_order_that_never_arrived_is_sent_once_under_the_same_id(self, night: Night) -> None:
        night.broker.deaf = True
        night.send()
        assert night.states() == ["unknown", "unknown"]
        ids = night.ids()
        night.broker.deaf = False
        night.send()
        assert night.states() == ["accepted", "accepted"]
        assert sorted(night.broker.sent) == sorted(ids)

    def test_absence_within_the_lag_proves_nothing(self, night: Night) -> None:
        """A list that lags shows nothing yet; resending at the first "not found" doubles orders."""
        night.broker.capabilities = Capabilities(
            whole_shares_only=True, remembers_client_ids=True, absence_proof_s=60, keeps_cash_floor=False
        )
        night.broker.silent = True
        night.send()
        night.broker.silent, night.broker.hidden = False, set(night.ids())
        assert night.send() == []
        assert night.states() == ["unknown", "unknown"]
        night.broker.hidden = set()
        night.reconcile()
        assert night.states() == ["accepted", "accepted"]

    def test_broker_without_client_ids_is_never_sent_to_again(self, night: Night) -> None:
        night.broker.capabilities = Capabilities(
            whole_shares_only=True, remembers_client_ids=False, absence_proof_s=None, keeps_cash_floor=False
        )
        night.broker.deaf = True
        night.send()
        night.broker.deaf = False
        assert night.send() == []
        assert night.states() == ["unknown", "unknown"]

    def test_never_sent_before_its_session_passed_expires(self, night: Night) -> None:
        night.broker.deaf = True
        night.send()
        service.settle_book(night.session, as_of=NEXT, book="paper")
        assert night.states() == ["expired", "expired"]
        assert night.broker.sent == []


class TestRepeats:
    def test_the_same_answers_twice_change_nothing(self, night: Night) -> None:
        """One effect of a repeated delivery."""
        claims = service.claim_orders(night.session, as_of=NIGHT, book="paper")
        answers = service.send_orders(night.session, claims=claims)
        assert service.record_answers(night.session, answers=answers)["accepted"] == 2
        assert service.record_answers(night.session, answers=answers)["accepted"] == 0

    def test_a_second_claim_gets_nothing(self, night: Night) -> None:
        assert len(service.claim_orders(night.session, as_of=NIGHT, book="paper")) == 1
        night.broker.down = True
        assert service.claim_orders(night.session, as_of=NIGHT, book="paper") == []

    def test_fill_reported_three_times_is_booked_once(self, night: Night) -> None:
        night.send()
        first, second = night.ids()
        night.broker.fill(first, D(600), status="partial", times=3)
        night.reconcile()
        night.reconcile()
        assert night.states() == ["partial", "accepted"]
        assert night.cash() == D("1000000.00") - D("60001.00")
        night.broker.fill(first, D(400), status="filled")
        night.broker.fill(second, D(1000), status="filled")
        done = night.reconcile()
        assert (done.fills, night.states()) == (2, ["filled", "filled"])
        assert night.cash() == D("1000000.00") - D("200003.00")


class TestFills:
    def test_partial_then_canceled_keeps_the_part(self, night: Night) -> None:
        night.send()
        night.broker.fill(night.ids()[0], D(600), status="canceled")
        night.reconcile()
        order = night.orders()[0]
        assert (order.state, order.filled_quantity) == ("canceled", D(600))
        steps = night.session.execute(
            text("select to_state from order_events where order_id = :id order by event_id"), {"id": order.order_id}
        )
        assert list(steps.scalars()) == ["planned", "intent", "sending", "accepted", "partial", "canceled"]

    def test_rejected_order_leaves_the_others_alone(self, night: Night) -> None:
        night.broker.rejects = {night.orders()[0].instrument_id}
        night.send()
        assert night.states() == ["rejected", "accepted"]
        night.broker.fill(night.ids()[1], D(1000), status="filled")
        night.reconcile()
        assert night.states() == ["rejected", "filled"]

    def test_status_that_nobody_knows_is_kept_and_unknown(self, night: Night) -> None:
        night.send()
        night.broker.set_status(night.ids()[0], "PENDING_REVIEW_7")
        night.reconcile()
        night.reconcile()
        assert night.states() == ["unknown", "accepted"]
        evidence = night.session.execute(
            text("select evidence ->> 'status' from order_events where to_state = 'unknown'")
        )
        assert list(evidence.scalars()) == ["PENDING_REVIEW_7"]

    def test_order_that_the_broker_lost_is_unknown_not_gone(self, night: Night) -> None:
        night.send()
        night.broker.hidden = {night.ids()[0]}
        night.reconcile()
        assert night.states() == ["unknown", "accepted"]
        night.broker.hidden = set()
        night.reconcile()
        assert night.states() == ["accepted", "accepted"]


class TestBrokenBooks:
    def test_overfill_halts_the_account_and_books_nothing(self, night: Night) -> None:
        night.send()
        night.broker.fill(night.ids()[0], D(1001), status="filled")
        done = night.reconcile()
        assert "for 1000.000000 shares, the broker filled 1001" in done.halted[night.account.account_id]
        assert night.status() == "halted"
        assert night.cash() == D("1000000.00")
        assert night.states() == ["accepted", "accepted"]

    def test_another_order_under_our_id_halts_the_account(self, night: Night) -> None:
        night.send()
        first, second = night.ids()
        night.broker.orders[first] = night.broker.orders[second]
        done = night.reconcile()
        assert "under its id" in done.halted[night.account.account_id]

    def test_the_other_accounts_go_on(self, night: Night) -> None:
        other = create_funded_account(night.session, opened_on=NEXT, position_weight_max="0.2")
        stocks = [order.instrument_id for order in night.orders()]
        night.send()
        night.broker.fill(night.ids()[0], D(1001), status="filled")
        night.reconcile()
        create_target(night.session, other, session_on=NEXT, weights=dict.fromkeys(stocks, D("0.1")))
        service.settle_book(night.session, as_of=NEXT, book="paper")
        assert service.propose_orders(night.session, as_of=NEXT, book="paper") == 2
        service.check_orders(night.session, as_of=NEXT, book="paper")
        assert service.approve_autonomous(night.session, as_of=NEXT, book="paper").orders == 2

    def test_a_halted_account_sends_nothing(self, night: Night) -> None:
        night.account.status, night.account.halted_reason = "halted", "fraud alert"
        night.session.flush()
        assert service.claim_orders(night.session, as_of=NIGHT, book="paper") == []
        assert night.states() == ["intent", "intent"]
