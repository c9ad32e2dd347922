"""Gaps and freshness of what is loaded."""

from datetime import date
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from database.session import Session
from market_data.calendars import sessions_between
from market_data.coverage import bars_of_instrument, find_gaps, freshness
from tests.factories.market import create_market

DAYS = sessions_between(date(2017, 1, 3), date(2017, 3, 31))


class TestFindGaps:
    @given(st.sets(st.sampled_from(DAYS)))
    def test_gaps_and_bars_together_are_the_calendar(self, have: set[date]) -> None:
        gaps = find_gaps(DAYS, have)
        missing = [day for gap in gaps for day in sessions_between(gap.from_on, gap.to_on)]
        assert missing == [day for day in DAYS if day not in have]
        assert [gap.sessions for gap in gaps] == [len(sessions_between(gap.from_on, gap.to_on)) for gap in gaps]
        # Between two gaps there is always a bar, or they would be one.
        assert all(any(earlier.to_on < day < later.from_on for day in have) for earlier, later in pairwise(gaps))


class TestBarsOfInstrument:
    def test_without_bars_there_is_no_span(self, session: Session) -> None:
        market = create_market(session, instruments=2, sessions=10)
        found = bars_of_instrument(session, instrument_id=market.instrument_ids[0], as_of=date(2010, 1, 4))
        assert (found.first_on, found.bars, found.gaps) == (None, 0, ())


class TestFreshness:
    def test_knows_nothing_of_later_days(self, session: Session) -> None:
        market = create_market(session, instruments=2, sessions=10)
        earlier = market.sessions[4]
        sets = {one.dataset: one for one in freshness(session, as_of=earlier)}
        assert sets["daily_bars"].newest_on == earlier
        assert sets["daily_bars"].sessions_behind == 0
        assert sets["macro_series"].newest_on == earlier
        assert (sets["features"].newest_on, sets["features"].sessions_behind) == (None, None)
