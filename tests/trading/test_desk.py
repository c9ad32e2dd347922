"""Approve, change, reject, cancel, switch, halt and send in any order: walks that must keep the promises."""

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.errors import InputError, NotFound, Refused
from database.tables.accounts import Account
from tests.factories.brokers import FaultyBroker
from tests.factories.nights import create_funded_account
from tests.factories.proposals import propose
from tests.factories.quotes import NEXT, NIGHT, create_priced_stock
from trading import approval, cancel, kill_switch, service
from trading.brokers import BROKERS
from trading.revision import change_quantity

D = Decimal
STOCKS = 4


PLACES = st.integers(0, STOCKS - 1)
ACTIONS = st.one_of(
    st.tuples(st.just("approve"), st.sets(PLACES, min_size=1)),
    st.tuples(st.just("change"), PLACES, st.sampled_from([-1, 0, 1, 300, 600, 601, 800])),
    st.tuples(st.just("reject"), PLACES),
    st.tuples(st.just("cancel"), PLACES),
    st.tuples(st.just("switch")),
    st.tuples(st.just("send"), st.booleans()),
    st.tuples(st.just("send"), st.booleans()),
    st.tuples(st.just("halt"), st.booleans()),
)


class Desk:
    """What people and programs do to one account's night. A refusal is an answer; any other error fails the walk."""

    def __init__(self, session: Session, broker: FaultyBroker, stocks: list[int]) -> None:
        self.session, self.broker = session, broker
        self.account = create_funded_account(session, opened_on=NIGHT, autonomous=False, position_weight_max="0.06")
        (rows,) = propose(session, [self.account], dict.fromkeys(stocks, D("0.05"))).values()
        self.keys = [row.recommendation_id for row in rows]
        self.proposed = {row.recommendation_id: row.quantity for row in rows}
        self.switch: int | None = None
        self.sent_under_a_switch = 0
        broker.orders.clear()
        broker.sent.clear()

    def attempt(self, work: Callable[[], object]) -> None:
        with suppress(InputError, Refused), self.session.begin_nested():
            work()

    def approve(self, places: set[int]) -> None:
        chosen = [self.keys[place] for place in sorted(places)]
        self.attempt(lambda: service.approve(self.session, recommendation_ids=chosen, actor="ann"))

    def change(self, place: int, quantity: int) -> None:
        key = self.keys[place]
        self.attempt(lambda: change_quantity(self.session, recommendation_id=key, quantity=D(quantity), actor="ann"))

    def reject(self, place: int) -> None:
        key = self.keys[place]
        self.attempt(lambda: service.reject(self.session, recommendation_ids=[key], actor="ann", reason="no"))

    def cancel(self, place: int) -> None:
        keys = self.session.execute(text("select order_id from orders order by 1")).scalars().all()
        if place < len(keys):
            self.attempt(lambda: cancel.cancel(self.session, order_id=keys[place], actor="ann"))

    def halt(self, is_halted: bool) -> None:
        values = "'halted', halted_reason = 'looked at'" if is_halted else "'active', halted_reason = null"
        self.session.execute(text(f"update accounts set status = {values}"))

    def send(self, switches: bool) -> None:
        """Claim, throw the switch in between or not, call, record."""
        claims = service.claim_orders(self.session, as_of=NIGHT, book="paper")
        if switches and self.switch is None:
            self.throw()
        before = len(self.broker.sent)
        answers = service.send_orders(self.session, claims=claims)
        service.record_answers(self.session, answers=answers)
        if self.switch is not None:
            self.sent_under_a_switch += len(self.broker.sent) - before

    def throw(self) -> None:
        """On, or off again."""
        if self.switch is None:
            self.switch = kill_switch.engage(
                self.session, scope="client", client_id=self.account.client_id, reason="fire", actor="ann"
            ).kill_switch_id
        else:
            kill_switch.release(self.session, kill_switch_id=self.switch, reason="out", actor="ann")
            self.switch = None

    def act(self, name: str, *arguments: Any) -> None:
        acts: dict[str, Callable[..., None]] = {
            "approve": self.approve,
            "change": self.change,
            "reject": self.reject,
            "cancel": self.cancel,
            "halt": self.halt,
            "send": self.send,
            "switch": self.throw,
        }
        acts[name](*arguments)
        self.session.expire_all()
        self.keep_the_promises()

    def keep_the_promises(self) -> None:
        assert self.sent_under_a_switch == 0
        assert len(self.broker.sent) == len(set(self.broker.sent)), "one order is sent once"
        rows = self.session.execute(
            text("""
                select o.client_order_id, o.quantity, o.state, r.quantity as wanted, r.status, r.reference_price
                from orders o join recommendations r using (recommendation_id)
            """)
        ).all()
        assert {row.status for row in rows} <= {"approved"}, "no order without a yes"
        assert all(row.quantity == row.wanted for row in rows), "what was approved is what is ordered"
        assert set(self.broker.sent) <= {row.client_order_id for row in rows}
        assert all(row.client_order_id not in self.broker.sent for row in rows if row.state in {"planned", "intent"})
        assert all(row.quantity * row.reference_price <= D(60_000) for row in rows), "6 % is the most of one stock"
        kept = self.session.execute(
            text("select recommendation_id, coalesce(proposed_quantity, quantity) from recommendations")
        )
        assert {row[0]: row[1] for row in kept} == self.proposed, "what the night proposed is kept"


class TestAnyOrderOfHands:
    @pytest.fixture
    def broker(self, monkeypatch: pytest.MonkeyPatch) -> FaultyBroker:
        made = FaultyBroker()
        monkeypatch.setitem(BROKERS, "paper", made)
        return made

    @pytest.fixture
    def stocks(self, session: Session) -> list[int]:
        return [create_priced_stock(session, f"D{n}", sector=f"S{n}") for n in range(STOCKS)]

    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(actions=st.lists(ACTIONS, min_size=8, max_size=16))
    def test_keeps_the_promises(
        self, session: Session, broker: FaultyBroker, stocks: list[int], actions: list[Any]
    ) -> None:
        walk = session.begin_nested()
        desk = Desk(session, broker, stocks)
        for action in actions:
            desk.act(*action)
        walk.rollback()
        session.expire_all()


class TestChangeQuantity:
    @pytest.fixture
    def account(self, session: Session) -> Account:
        return create_funded_account(session, opened_on=NIGHT, autonomous=False, cash_weight_min="0.90")

    def test_a_change_that_takes_another_ones_cash_is_refused(self, session: Session, account: Account) -> None:
        """10 % may be invested and two buys want 5 % each: the larger one leaves too little for the other."""
        stocks = [create_priced_stock(session, name, sector=name) for name in ("AAA", "BBB")]
        (rows,) = propose(session, [account], dict.fromkeys(stocks, D("0.045"))).values()
        with pytest.raises(Refused, match=rf"recommendation {rows[1].recommendation_id} could then not be traded"):
            change_quantity(session, recommendation_id=rows[0].recommendation_id, quantity=D(700), actor="ann")
        service.reject(session, recommendation_ids=[rows[1].recommendation_id], actor="ann", reason="no")
        changed = change_quantity(session, recommendation_id=rows[0].recommendation_id, quantity=D(700), actor="ann")
        assert (changed.quantity_before, changed.weight_after) == (D(450), D("0.07"))

    def test_unknown_is_not_found_and_parts_of_shares_are_refused(self, session: Session) -> None:
        with pytest.raises(NotFound):
            change_quantity(session, recommendation_id=99, quantity=D(1), actor="ann")
        with pytest.raises(InputError, match="whole number"):
            change_quantity(session, recommendation_id=99, quantity=D("1.5"), actor="ann")

    def test_a_void_proposal_keeps_its_quantity(self, session: Session, account: Account) -> None:
        (rows,) = propose(session, [account], {create_priced_stock(session, "AAA"): D("0.05")}).values()
        service.settle_book(session, as_of=NEXT, book="paper")
        with pytest.raises(Refused, match="which is over"):
            change_quantity(session, recommendation_id=rows[0].recommendation_id, quantity=D(1), actor="ann")


class TestApproveAccounts:
    def test_a_buy_whose_cash_was_to_come_from_an_unapproved_sale_is_refused(self, session: Session) -> None:
        """All is invested in one stock; the night sells it for another. Without the sale there is no cash."""
        account = create_funded_account(session, opened_on=NIGHT, position_weight_max="1", sector_weight_max="1")
        session.execute(text("update mandates set position_weight_max = 1"))
        first, second = (create_priced_stock(session, name, volume=10**9) for name in ("AAA", "BBB"))
        session.execute(text("update autonomous_settings set enabled = true"))
        for night, stock in ((NIGHT, first), (NEXT, second)):
            (rows,) = propose(session, [account], {stock: D("0.24")}, night=night).values()
            if night == NIGHT:
                service.approve_autonomous(session, as_of=night, book="paper")
                claims = service.claim_orders(session, as_of=night, book="paper")
                service.record_answers(session, answers=service.send_orders(session, claims=claims))
                service.reconcile_book(session, as_of=night, book="paper")
        session.execute(text("update mandates set cash_weight_min = 0.70"))
        session.expire_all()
        sale, buy = rows
        assert (sale.side, buy.side) == ("sell", "buy")
        with pytest.raises(Refused, match="cash would be"):
            approval.approve(session, recommendation_ids=[buy.recommendation_id], actor="ann")
        both = [sale.recommendation_id, buy.recommendation_id]
        assert len(approval.approve(session, recommendation_ids=both, actor="ann").order_ids) == 2
