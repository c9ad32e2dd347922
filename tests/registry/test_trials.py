"""Trials are counted once each and never forgotten; their returns are numbers of one year."""

from datetime import date

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from core.errors import InputError
from database.queries.trials import read_returns
from database.session import Session
from registry.trials import ReturnSeries, add_returns, count_trials, record_trial
from tests.factories.trials import create_trial


class TestRecordTrial:
    def test_one_configuration_is_one_trial_whoever_tries_it_and_in_whatever_order_it_is_told(
        self, session: Session
    ) -> None:
        first = record_trial(
            session, kind="screener", strategy="a", source="training", configuration={"depth": 3, "rounds": 40}
        )
        again = record_trial(
            session, kind="screener", strategy="a", source="tuning", configuration={"rounds": 40, "depth": 3}
        )
        other = record_trial(
            session, kind="screener", strategy="a", source="tuning", configuration={"rounds": 41, "depth": 3}
        )
        assert first == again != other
        assert (count_trials(session, kind="screener"), count_trials(session, kind="allocator")) == (2, 0)

    def test_nothing_takes_a_trial_back(self, session: Session) -> None:
        record_trial(session, kind="screener", strategy="a", source="training", configuration={})
        with pytest.raises(IntegrityError, match="append-only"), session.begin_nested():
            session.execute(text("delete from trials"))
        assert count_trials(session, kind="screener") == 1


class TestAddReturns:
    def test_years_are_joined_and_cut_off_at_the_date(self, session: Session) -> None:
        trial_id = create_trial(session, years=[2015, 2016])
        found = read_returns(
            session, kind="screener", trial_ids=[trial_id], through_on=date(2016, 1, 5), series=("model",)
        )
        series = found[trial_id]["model"]
        assert set(found[trial_id]) == {"model"}
        assert (str(series.sessions[0]), str(series.sessions[-1])) == ("2015-01-01", "2016-01-05")
        assert (np.diff(series.sessions) > np.timedelta64(0, "D")).all()

    def test_a_year_that_has_grown_replaces_itself(self, session: Session) -> None:
        trial_id = create_trial(session, years=[2016])
        days = np.array(["2016-01-04", "2016-01-05"], dtype="datetime64[D]")
        add_returns(session, trial_id=trial_id, year=2016, series={"model": ReturnSeries(days, np.array([0.1, -0.1]))})
        found = read_returns(session, kind="screener", through_on=date(2016, 12, 31))[trial_id]["model"]
        np.testing.assert_array_equal(found.sessions, days)
        np.testing.assert_array_equal(found.returns, [0.1, -0.1])

    @pytest.mark.parametrize(
        ("days", "returns", "message"),
        [
            (["2016-01-04", "2016-01-05"], [0.1, np.nan], "one finite return a session"),
            (["2016-01-05", "2016-01-04"], [0.1, 0.1], "sessions rising"),
            (["2015-12-31", "2016-01-04"], [0.1, 0.1], "not all of 2016"),
        ],
    )
    def test_what_is_no_return_of_that_year_is_refused(
        self, session: Session, days: list[str], returns: list[float], message: str
    ) -> None:
        trial_id = create_trial(session, years=[2015])
        series = ReturnSeries(np.array(days, dtype="datetime64[D]"), np.array(returns))
        with pytest.raises(InputError, match=message):
            add_returns(session, trial_id=trial_id, year=2016, series={"model": series})
