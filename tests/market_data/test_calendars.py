"""The exchange's sessions, against days on which it is known to have traded or not."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from core.errors import InputError, NotASession
from market_data.calendars import (
    _exceptions,
    is_session,
    next_session,
    previous_session,
    require_session,
    session_close,
    session_open,
    sessions_between,
)
from tests.market_data.write_calendar import exceptions

NEW_YORK = ZoneInfo("America/New_York")


class TestSessionsBetween:
    def test_sample_span_has_the_sessions_counted_in_its_source(self) -> None:
        assert len(sessions_between(date(2006, 1, 3), date(2020, 4, 1))) == 3586

    def test_both_ends_are_included(self) -> None:
        assert sessions_between(date(2017, 6, 30), date(2017, 7, 3)) == [date(2017, 6, 30), date(2017, 7, 3)]

    def test_weekend_alone_is_empty(self) -> None:
        assert sessions_between(date(2017, 7, 1), date(2017, 7, 2)) == []


class TestRequireSession:
    def test_session_is_returned(self) -> None:
        assert require_session(date(2017, 6, 30)) == date(2017, 6, 30)

    @pytest.mark.parametrize(
        ("day", "previous", "following"),
        [
            (date(2017, 7, 4), date(2017, 7, 3), date(2017, 7, 5)),
            (date(2012, 10, 29), date(2012, 10, 26), date(2012, 10, 31)),  # the storm Sandy
            (date(2018, 12, 5), date(2018, 12, 4), date(2018, 12, 6)),  # mourning
            (date(2001, 9, 12), date(2001, 9, 10), date(2001, 9, 17)),
            (date(2020, 3, 29), date(2020, 3, 27), date(2020, 3, 30)),
        ],
    )
    def test_other_days_name_their_neighbours(self, day: date, previous: date, following: date) -> None:
        assert not is_session(day)
        with pytest.raises(NotASession, match=f"{day} .* {previous}, the next one {following}"):
            require_session(day)

    @pytest.mark.parametrize("day", [date(1950, 1, 3), date(2050, 1, 3)])
    def test_outside_the_calendar_says_so(self, day: date) -> None:
        with pytest.raises(InputError, match="outside the calendar, which runs from"):
            require_session(day)


class TestNeighbours:
    def test_next_and_previous_leave_the_day_itself_out(self) -> None:
        assert next_session(date(2020, 4, 1)) == date(2020, 4, 2)
        assert previous_session(date(2020, 4, 1)) == date(2020, 3, 31)
        assert next_session(date(2017, 7, 1)) == date(2017, 7, 3)


class TestTradingHours:
    def test_summer_and_winter_open_at_half_past_nine_in_new_york(self) -> None:
        for day in (date(2017, 6, 30), date(2017, 1, 3)):
            assert session_open(day) == datetime(day.year, day.month, day.day, 9, 30, tzinfo=NEW_YORK)

    def test_closed_day_has_no_hours(self) -> None:
        with pytest.raises(NotASession):
            session_open(date(2017, 7, 4))

    @pytest.mark.parametrize(
        ("day", "closes"),
        [
            (date(2017, 6, 30), time(16, 0)),
            (date(2017, 7, 3), time(13, 0)),
            (date(2019, 11, 29), time(13, 0)),  # the day after Thanksgiving
            (date(1974, 12, 24), time(14, 0)),
        ],
    )
    def test_days_around_holidays_close_early(self, day: date, closes: time) -> None:
        assert session_close(day) == datetime.combine(day, closes, NEW_YORK)


class TestExceptionsFile:
    def test_the_file_says_what_the_library_says(self) -> None:
        assert dict(_exceptions()) == exceptions()
