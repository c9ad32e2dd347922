"""The audit trail keeps what happened and lets nobody change it."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from auth.audit import read_trail, record
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

    @pytest.mark.parametrize("statement", ["update audit set actor = 'bob'", "delete from audit", "truncate audit"])
    def test_history_cannot_be_changed(self, session: Session, statement: str) -> None:
        record(session, actor="ann", action="add", subject="client", subject_id=1)
        with pytest.raises(DBAPIError, match="append-only"):
            session.execute(text(statement))
