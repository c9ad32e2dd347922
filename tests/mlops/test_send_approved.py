"""The job that sends approved orders dies anywhere and is run again: no order is lost, none is doubled."""

from collections.abc import Callable
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from sqlalchemy import text

import mlops.jobs.send_approved
import mlops.sending
from core.jobs import CancelOrders, SendApproved, Ticket
from database.queries.orders import ask_cancel
from database.session import transaction
from mlops.jobs import cancel_orders, send_approved
from tests.factories.brokers import FaultyBroker
from tests.factories.nights import create_funded_account
from tests.factories.proposals import propose
from tests.factories.quotes import NIGHT, create_priced_stock
from trading import service
from trading.brokers import BROKERS

D = Decimal
_books = count(1)
STEPS = ("claim_orders", "send_orders", "record_answers", "reconcile_book", "refresh")


class PowerCutError(Exception):
    """Stands for the process's death."""


@pytest.fixture(scope="module")
def stocks(committed_database: str) -> list[int]:
    with transaction() as session:
        return [create_priced_stock(session, name, sector=name) for name in ("AAA", "BBB", "CCC")]


@pytest.fixture
def job(stocks: list[int]) -> SendApproved:
    """An advisor's approval of three orders in a book of its own."""
    book = f"case {next(_books)}"
    with transaction() as session:
        account = create_funded_account(
            session, opened_on=NIGHT, book=book, autonomous=False, position_weight_max="0.2"
        )
        (rows,) = propose(session, [account], dict.fromkeys(stocks, D("0.05"))).values()
        service.approve(session, recommendation_ids=[row.recommendation_id for row in rows], actor="ann")
    return SendApproved(as_of=NIGHT, book=book, account_ids=(account.account_id,))


def orders(job: SendApproved) -> list[Any]:
    with transaction() as session:
        return list(
            session.execute(
                text("select * from orders where account_id = :key order by order_id"), {"key": job.account_ids[0]}
            )
        )


def die_in(verb: str, *, after: bool, monkeypatch: pytest.MonkeyPatch, times: int = 1) -> None:
    """Die at the `times`th call of a step, before it has done anything or when its work is done and not committed."""
    module = mlops.sending if verb in {"claim_orders", "send_orders", "record_answers"} else mlops.jobs.send_approved
    real: Callable[..., Any] = getattr(module, verb)
    calls = count(1)

    def dying(*arguments: Any, **options: Any) -> Any:
        is_time = next(calls) == times
        if is_time and not after:
            raise PowerCutError
        answer = real(*arguments, **options)
        if is_time:
            raise PowerCutError
        return answer

    monkeypatch.setattr(module, verb, dying)


class TestSend:
    @pytest.mark.parametrize("after", [False, True])
    @pytest.mark.parametrize("verb", STEPS)
    def test_cut_off_anywhere_and_repeated_sends_each_order_once(
        self, job: SendApproved, verb: str, after: bool
    ) -> None:
        broker = FaultyBroker()
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(BROKERS, "paper", broker)
            with pytest.MonkeyPatch.context() as death:
                die_in(
                    verb, after=after, monkeypatch=death, times=2 if verb in {"send_orders", "record_answers"} else 1
                )
                with pytest.raises(PowerCutError):
                    send_approved.send(job)
            send_approved.send(job)
            send_approved.send(job)
        assert {row.state for row in orders(job)} == {"accepted"}
        assert len(broker.orders) == 3
        assert {row.client_order_id for row in orders(job)} == set(broker.orders)

    def test_tells_each_order_and_answers_with_counts(self, job: SendApproved) -> None:
        told: list[tuple[str, int, int]] = []
        ticket = Ticket(1, 1, "ann", lambda step, done, total: told.append((step, done, total)))
        answer = send_approved.perform(job, ticket)
        assert (answer["accepted"], answer["fills"]) == (3, 3)
        assert [step for step, _, _ in told][:3] == [f"sending: order {n} of 3" for n in (1, 2, 3)]

    def test_leaves_other_accounts_of_the_book_alone(self, job: SendApproved, stocks: list[int]) -> None:
        send_approved.send(job.model_copy(update={"account_ids": (10**6,)}))
        assert {row.state for row in orders(job)} == {"intent"}


class TestCancelOrders:
    @pytest.fixture
    def broker(self, monkeypatch: pytest.MonkeyPatch) -> FaultyBroker:
        made = FaultyBroker()
        monkeypatch.setitem(BROKERS, "paper", made)
        return made

    def wish(self, job: SendApproved) -> CancelOrders:
        keys = tuple(row.order_id for row in orders(job))
        with transaction() as session:
            for key in keys:
                ask_cancel(session, order_id=key, asked_by="ann")
        return CancelOrders(order_ids=keys)

    def test_a_fill_overtakes_the_wish(self, job: SendApproved, broker: FaultyBroker) -> None:
        send_approved.send(job)
        first, second, third = (row.client_order_id for row in orders(job))
        wish = self.wish(job)
        broker.fill(first, D(500), status="filled")
        broker.fill(second, D(200), status="partial")
        cancel_orders.cancel_orders(wish)
        cancel_orders.cancel_orders(wish)
        found = {row.client_order_id: (row.state, row.filled_quantity) for row in orders(job)}
        assert found == {first: ("filled", D(500)), second: ("canceled", D(200)), third: ("canceled", D(0))}

    def test_what_a_dead_sender_left_in_flight_is_withdrawn(self, job: SendApproved, broker: FaultyBroker) -> None:
        """Claimed, never sent: the broker knows nothing of it, so it is here again and canceled at once."""
        with transaction() as session:
            service.claim_orders(session, as_of=job.as_of, book=job.book)
        cancel_orders.cancel_orders(self.wish(job))
        assert {row.state for row in orders(job)} == {"canceled"}
        assert broker.sent == []

    def test_a_wish_between_claim_and_call_recalls_the_order(self, job: SendApproved, broker: FaultyBroker) -> None:
        with transaction() as session:
            claims = service.claim_orders(session, as_of=job.as_of, book=job.book)
        self.wish(job)
        with transaction() as session:
            answers = service.send_orders(session, claims=claims)
        with transaction() as session:
            assert service.record_answers(session, answers=answers)["recalled"] == 3
        assert (broker.sent, {row.state for row in orders(job)}) == ([], {"canceled"})

    def test_a_stubborn_broker_keeps_the_order_and_the_wish(self, job: SendApproved, broker: FaultyBroker) -> None:
        send_approved.send(job)
        broker.stubborn = True
        cancel_orders.cancel_orders(self.wish(job))
        assert {(row.state, row.cancel_asked_by) for row in orders(job)} == {("accepted", "ann")}
