"""The session that the firm's own book has lived to."""

from datetime import date

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from clients.service import practice_date
from core.errors import DataMissing
from database.tables.runs import Run
from tests.factories.quotes import NIGHT, SESSIONS, create_bars, create_stock


def _night(as_of: date, *, book: str = "paper", status: str = "succeeded") -> Run:
    return Run(job="nightly", as_of=as_of, book=book, status=status, steps={}, result={}, code_commit="0" * 40)


class TestPracticeDate:
    def test_without_data_it_says_what_to_do(self, session: Session) -> None:
        with pytest.raises(DataMissing, match="load-sample"):
            practice_date(session)

    def test_before_any_night_it_is_the_newest_session_with_bars(self, session: Session) -> None:
        create_bars(session, create_stock(session, "ABC"))
        assert practice_date(session) == SESSIONS[-1]

    def test_only_nights_of_the_firms_book_that_succeeded_count(self, session: Session) -> None:
        create_bars(session, create_stock(session, "ABC"))
        session.add_all(
            [
                _night(NIGHT),
                _night(SESSIONS[-2], status="failed"),
                _night(SESSIONS[-1], book="replay-x"),
            ]
        )
        session.flush()
        assert practice_date(session) == NIGHT

    def test_every_role_may_read_it(self, session: Session) -> None:
        session.add(_night(NIGHT))
        session.flush()
        session.execute(text("set local role acis_api"))
        assert practice_date(session) == NIGHT
