"""The audit trail keeps what happened and lets nobody change it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import date, timedelta
from decimal import Decimal

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from auth.audit import LOOK_LASTS, look, read_trail, record
from core.clock import fixed_clock
from core.log import bind_log
from database.session import limited_transaction, transaction
from tests.conftest import NOW


class TestRecord:
    def test_keeps_actor_time_and_both_states(self, session: Session) -> None:
        before = {"cash_weight_min": Decimal("0.05"), "effective_on": date(2017, 6, 30)}
        record(session, actor="ann", action="change", subject="mandate", subject_id=7, before=before, after={"v": 2})
        (row,) = read_trail(session, subject="mandate", subject_id=7)
        assert (row.actor, row.action, row.at) == ("ann", "change", NOW)
        assert row.before == {"cash_weight_min": "0.05", "effective_on": "2017-06-30"}
        assert row.after == {"v": 2}

    def test_trails_of_two_subjects_stay_apart(self, session: Session) -> None:
        record(session, actor="ann", action="add", subject="client", subject_id=1)
        record(session, actor="ann", action="add", subject="account", subject_id=1)
        assert [row.subject for row in read_trail(session, subject="client", subject_id=1)] == ["client"]

    @pytest.mark.parametrize(
        "statement", ["update audit set actor = 'bob'", "delete from audit", "truncate audit cascade"]
    )
    def test_history_cannot_be_changed(self, session: Session, statement: str) -> None:
        record(session, actor="ann", action="add", subject="client", subject_id=1)
        with pytest.raises(DBAPIError, match="append-only"):
            session.execute(text(statement))

    def test_knows_the_request_and_where_it_came_from(self, session: Session) -> None:
        with structlog.contextvars.bound_contextvars(request_id="r-1", address="192.0.2.7"):
            record(session, actor="ann", action="add", subject="client", subject_id=1)
        record(session, actor="ann", action="add", subject="client", subject_id=1)
        first, second = read_trail(session, subject="client", subject_id=1)
        assert (first.request_id, first.address) == ("r-1", "192.0.2.7")
        assert (second.request_id, second.address) == (None, None)

    def test_no_state_is_null_and_nested_states_become_plain(self, session: Session) -> None:
        record(session, actor="ann", action="change", subject="client", subject_id=1, after={"a": [Decimal("1.10")]})
        row = session.execute(text("select before is null, after from audit")).one()
        assert tuple(row) == (True, {"a": ["1.10"]})


class TestLook:
    def test_same_eyes_on_the_same_subject_are_one_look_a_minute(self, committed_database: str) -> None:
        for seconds in (0, 1, 59, 60, 61):
            with fixed_clock(NOW + timedelta(seconds=seconds)):
                _show("ann", 1)
        assert _looks(1) == 2
        _show("bob", 1)
        _show("ann", 2)
        assert (_looks(1), _looks(2)) == (3, 1)

    def test_clock_that_was_set_back_hides_no_look(self, committed_database: str) -> None:
        _show("ann", 3)
        with fixed_clock(NOW - 2 * LOOK_LASTS):
            _show("ann", 3)
        assert _looks(3) == 2

    def test_look_that_was_rolled_back_stands_for_none(self, committed_database: str) -> None:
        with pytest.raises(ZeroDivisionError):
            _show("ann", 4, then=lambda: 1 // 0)
        assert _looks(4) == 0
        _show("ann", 4)
        assert _looks(4) == 1

    def test_many_threads_leave_a_look_of_each(self, committed_database: str) -> None:
        def show(number: int) -> None:
            bind_log(request_id=f"r-{number}")
            _show(f"person {number % 10}", 5)

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(_apart(show), range(80)))
        with transaction() as session:
            people = {row.actor for row in read_trail(session, subject="client", subject_id=5)}
        assert people == {f"person {number}" for number in range(10)}


def _apart(work: Callable[[int], None]) -> Callable[[int], None]:
    """The work in a copy of this test's context, whose clock stands still."""
    context = copy_context()
    return lambda number: context.copy().run(work, number)


def _show(actor: str, client_id: int, then: Callable[[], object] = lambda: None) -> None:
    with limited_transaction() as session:
        look(session, actor=actor, subject="client", subject_id=client_id)
        then()


def _looks(client_id: int) -> int:
    with transaction() as session:
        return len(read_trail(session, subject="client", subject_id=client_id))
