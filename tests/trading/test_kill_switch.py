"""Once a switch is committed no order under it leaves: at the claim, at the call, under load, after a restart."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from core.errors import InputError, NotFound, Refused, UnknownName
from database.queries import orders as order_queries
from database.session import transaction
from database.tables.accounts import Account
from mlops.sending import send_approved
from tests.factories.brokers import FaultyBroker
from tests.factories.nights import create_funded_account
from tests.factories.proposals import propose
from tests.factories.quotes import NIGHT, create_priced_stock
from trading import kill_switch, service
from trading.broker import Answer, Ticket
from trading.brokers import BROKERS
from trading.execute import TICKETS_AT_ONCE, parts

D = Decimal
_names = count(1)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> FaultyBroker:
    made = FaultyBroker()
    monkeypatch.setitem(BROKERS, "paper", made)
    return made


def make_approved(session: Session, *, stocks: int = 3, **options: Any) -> Account:
    """An account with so many approved orders."""
    account = create_funded_account(session, opened_on=NIGHT, position_weight_max="0.2", **options)
    keys = [create_priced_stock(session, f"K{next(_names)}", sector=f"S{n}") for n in range(stocks)]
    propose(session, [account], dict.fromkeys(keys, D("0.05")))
    service.approve_autonomous(session, as_of=NIGHT, book=account.book)
    return account


def throw(session: Session, scope: str = "everything", **target: Any) -> int:
    known = ("momentum_largecap", "value_largecap")
    return kill_switch.engage(
        session, scope=scope, reason="fire", actor="ann", known_strategies=known, **target
    ).kill_switch_id


def states(session: Session, account: Account) -> list[str]:
    rows = order_queries.orders_of_session(session, account_ids=[account.account_id], session_on=NIGHT)
    return sorted(row.state for row in rows.values())


def make_intents(account: Account, instrument_id: int, number: int) -> list[dict[str, Any]]:
    """Approved orders past every rule, as rows."""
    return [
        {
            "client_order_id": f"acis-{account.account_id}-{n}",
            "account_id": account.account_id,
            "instrument_id": instrument_id,
            "session_on": NIGHT,
            "side": "buy",
            "quantity": D(1),
            "state": "intent",
            "broker": "paper",
        }
        for n in range(number)
    ]


class TestEngage:
    def test_target_must_fit_the_scope(self, session: Session) -> None:
        for scope, target in (("client", {}), ("strategy", {}), ("everything", {"client_id": 1})):
            with pytest.raises(InputError, match="name the client"):
                throw(session, scope, **target)

    def test_unknown_strategy_is_named(self, session: Session) -> None:
        with pytest.raises(UnknownName, match="astrology"):
            throw(session, "strategy", strategy="astrology")

    def test_needs_a_reason(self, session: Session) -> None:
        with pytest.raises(InputError, match="reason is empty"):
            kill_switch.engage(session, scope="everything", reason=" ", actor="ann")

    def test_twice_is_refused_and_again_after_a_release_is_not(self, session: Session) -> None:
        key = throw(session)
        with pytest.raises(Refused, match="on already"):
            throw(session)
        kill_switch.release(session, kill_switch_id=key, reason="put out", actor="ann", typed="everything")
        assert throw(session) != key


class TestRelease:
    def test_unknown_is_not_found(self, session: Session) -> None:
        with pytest.raises(NotFound):
            kill_switch.release(session, kill_switch_id=99, reason="put out", actor="ann")

    def test_everything_needs_the_word(self, session: Session) -> None:
        key = throw(session)
        for typed in (None, "", "Everything", "yes"):
            with pytest.raises(InputError, match="type 'everything'"):
                kill_switch.release(session, kill_switch_id=key, reason="put out", actor="ann", typed=typed)


class TestProposals:
    def test_are_refused_by_the_rule(self, session: Session) -> None:
        throw(session)
        account = create_funded_account(session, opened_on=NIGHT, position_weight_max="0.2")
        (rows,) = propose(session, [account], {create_priced_stock(session, "AAA"): D("0.05")}).values()
        assert [row.status for row in rows] == ["refused"]

    def test_a_switch_after_the_checks_stops_the_autonomous_approval(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=NIGHT, position_weight_max="0.2")
        propose(session, [account], {create_priced_stock(session, "AAA"): D("0.05")})
        throw(session, "client", client_id=account.client_id)
        done = service.approve_autonomous(session, as_of=NIGHT, book="paper")
        assert (done.orders, done.waiting) == (0, 1)

    def test_other_clients_and_strategies_go_on(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=NIGHT, position_weight_max="0.2")
        other = create_funded_account(session, opened_on=NIGHT)
        throw(session, "client", client_id=other.client_id)
        throw(session, "strategy", strategy="value_largecap")
        propose(session, [account], {create_priced_stock(session, "AAA"): D("0.05")})
        assert service.approve_autonomous(session, as_of=NIGHT, book="paper").orders == 1


class TestSending:
    @pytest.mark.parametrize("scope", ["client", "strategy", "everything"])
    def test_nothing_is_claimed(self, session: Session, broker: FaultyBroker, scope: str) -> None:
        account = make_approved(session)
        targets: dict[str, dict[str, Any]] = {
            "client": {"client_id": account.client_id},
            "strategy": {"strategy": "momentum_largecap"},
            "everything": {},
        }
        throw(session, scope, **targets[scope])
        assert service.claim_orders(session, as_of=NIGHT, book="paper") == []
        assert states(session, account) == ["intent"] * 3

    def test_what_was_claimed_is_withheld_and_waits_with_the_evidence(
        self, session: Session, broker: FaultyBroker
    ) -> None:
        account = make_approved(session)
        claims = service.claim_orders(session, as_of=NIGHT, book="paper")
        throw(session)
        answers = service.send_orders(session, claims=claims)
        assert broker.sent == []
        assert service.record_answers(session, answers=answers)["withheld"] == 3
        assert states(session, account) == ["intent"] * 3
        evidence = session.execute(
            text("select evidence from order_events order by event_id desc limit 1")
        ).scalar_one()
        assert "the kill switch for everything is on" in evidence["reason"]

    def test_after_the_release_the_same_orders_leave_once(self, session: Session, broker: FaultyBroker) -> None:
        account = make_approved(session)
        key = throw(session)
        kill_switch.release(session, kill_switch_id=key, reason="put out", actor="ann", typed="everything")
        for _ in range(2):
            claims = service.claim_orders(session, as_of=NIGHT, book="paper")
            service.record_answers(session, answers=service.send_orders(session, claims=claims))
        assert len(broker.sent) == len(set(broker.sent)) == 3
        assert states(session, account) == ["accepted"] * 3

    def test_switches_that_cannot_be_read_stop_everything(self, session: Session, broker: FaultyBroker) -> None:
        make_approved(session)
        claims = service.claim_orders(session, as_of=NIGHT, book="paper")
        session.execute(text("alter table kill_switches rename to kill_switches_gone"))
        with pytest.raises(DBAPIError):
            service.send_orders(session, claims=claims)
        assert broker.sent == []

    def test_calls_are_short(self, session: Session, broker: FaultyBroker) -> None:
        tickets = tuple(Ticket(f"acis-{n}", 1, 1, "buy", D(1)) for n in range(2 * TICKETS_AT_ONCE + 1))
        sizes = [len(part.tickets) for part in parts([service.Claim("paper", NIGHT, tickets)])]
        assert sizes == [TICKETS_AT_ONCE, TICKETS_AT_ONCE, 1]


class TestRunaway:
    def test_past_the_accounts_limits_the_rest_waits(self, session: Session) -> None:
        account = create_funded_account(session, opened_on=NIGHT, position_weight_max="0.2")
        keys = [create_priced_stock(session, f"K{next(_names)}", sector=f"S{n}") for n in range(5)]
        propose(session, [account], dict.fromkeys(keys, D("0.05")))
        session.execute(text("update autonomous_settings set orders_max = 2"))
        session.expire_all()
        for _ in range(2):
            done = service.approve_autonomous(session, as_of=NIGHT, book="paper")
            assert done.waiting == 3, "a second try does not begin to count anew"
        assert states(session, account) == ["intent"] * 2

    def test_a_program_that_floods_an_account_halts_it_and_nothing_leaves(
        self, session: Session, broker: FaultyBroker
    ) -> None:
        """Ten thousand intents, as a strategy gone mad would make them."""
        flooded = make_approved(session)
        stock = session.execute(text("select min(instrument_id) from instruments")).scalar_one()
        rows = make_intents(flooded, stock, 10_000)
        order_queries.insert_orders(session, rows=rows)
        assert service.claim_orders(session, as_of=NIGHT, book="paper") == []
        session.expire_all()
        assert (flooded.status, "10003 orders" in str(flooded.halted_reason)) == ("halted", True)


class RecordingBroker(FaultyBroker):
    """Notes at each call which switch throws were committed before it began: there must be none that is still on."""

    def __init__(self, is_on: Callable[[], bool]) -> None:
        super().__init__()
        self.is_on = is_on
        self.broken = 0

    def submit(self, tickets: Any) -> list[Answer]:
        before = self.is_on()
        threading.Event().wait(0.002)  # a call takes its time
        answers = super().submit(tickets)
        self.broken += before or self.is_on()
        return answers


class TestUnderLoad:
    """Threads send while another switches, each on connections of its own."""

    SWITCHES, SENDERS, ORDERS = 60, 3, 40

    @pytest.fixture
    def book(self, committed_database: str) -> Account:
        with transaction() as session:
            account = create_funded_account(session, opened_on=NIGHT, position_weight_max="0.2")
            key = create_priced_stock(session, f"K{next(_names)}")
            propose(session, [account], {key: D("0.01")})
            service.approve_autonomous(session, as_of=NIGHT, book="paper")
            order_queries.insert_orders(session, rows=make_intents(account, key, self.ORDERS))
        return account

    def test_after_the_commit_no_order_leaves_and_none_is_lost_or_doubled(
        self, book: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # True from the moment a throw has committed until the moment before its release begins.
        committed = threading.Event()
        broker = RecordingBroker(committed.is_set)
        monkeypatch.setitem(BROKERS, "paper", broker)
        done = threading.Event()

        def send() -> None:
            while not done.is_set():
                send_approved(NIGHT, "paper", tickets_max=1)

        def switch() -> None:
            try:
                for _ in range(self.SWITCHES):
                    with transaction() as session:
                        key = throw(session)
                    committed.set()
                    threading.Event().wait(0.004)
                    committed.clear()
                    with transaction() as session:
                        kill_switch.release(session, kill_switch_id=key, reason="on", actor="ann", typed="everything")
            finally:
                done.set()

        with ThreadPoolExecutor() as pool:
            tasks = [pool.submit(copy_context().run, task) for task in (switch, *[send] * self.SENDERS)]
        for task in tasks:
            task.result()
        send_approved(NIGHT, "paper")
        assert broker.broken == 0
        assert len(broker.sent) == len(set(broker.sent)) == self.ORDERS + 1
        with transaction() as session:
            rows = session.execute(text("select state, count(*) from orders group by 1")).all()
        assert {row[0]: row[1] for row in rows} == {"accepted": self.ORDERS + 1}
