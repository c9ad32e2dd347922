"""The timetable over thirty years: each run due exactly once, at the hour of New York, whatever the clocks do."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import exchange_calendars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UnknownName
from core.jobs import KINDS, Nightly, RespondToDrift
from jobs.timetable import TIMETABLE, Days, Entry, due_at, entry_named, followers_of, latest_due, next_due

NEW_YORK = ZoneInfo("America/New_York")
FIRST, LAST = date(2000, 1, 1), date(2030, 12, 31)
DAYS = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
moments = st.integers(0, 30 * 366 * 86400 - 1).map(
    lambda seconds: datetime(2000, 6, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
entries = st.sampled_from(sorted(TIMETABLE.values(), key=lambda entry: entry.name))


class TestTable:
    @pytest.mark.parametrize("entry", TIMETABLE.values(), ids=lambda entry: entry.name)
    def test_every_job_may_be_queued_and_survives_the_journey(self, entry: Entry) -> None:
        job = entry.job(date(2020, 7, 2))
        assert job.name == entry.name
        assert KINDS[entry.name].model_validate(job.model_dump(mode="json")) == job

    def test_hours_are_those_that_were_agreed(self) -> None:
        told = {name: (entry.days, str(entry.hour)) for name, entry in TIMETABLE.items()}
        assert told["refresh-data"] == (Days.EVERY_DAY, "06:00")
        assert told["build-features"] == (Days.EVERY_DAY, "02:00")
        assert told["nightly"] == (Days.SESSIONS, "close + 30 min")
        assert told["train-screener"] == (Days.SUNDAYS, "02:00")
        assert told["train-allocator"] == (Days.FIRST_OF_MONTH, "03:00")
        assert told["watch-drift"] == (Days.EVERY_DAY, "03:00")

    def test_response_follows_the_reading_of_drift(self) -> None:
        assert followers_of("watch-drift", date(2020, 7, 2)) == [RespondToDrift()]
        assert followers_of("nightly", date(2020, 7, 2)) == []

    def test_unknown_name_is_answered_with_the_list(self) -> None:
        with pytest.raises(UnknownName, match="nightly"):
            entry_named("nigthly")


class TestDueAt:
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_nightly_is_due_once_a_session_half_an_hour_after_the_close(self) -> None:
        """Against the exchange_calendars library, which knows half days and the closures of 2001, 2012, 2018, 2025."""
        calendar = exchange_calendars.get_calendar("XNYS", start=FIRST.isoformat(), end=LAST.isoformat())
        closes = {stamp.date(): close.to_pydatetime() for stamp, close in calendar.closes.items()}
        due = {day: due_at(TIMETABLE["nightly"], day) for day in DAYS}
        found = {day: moment for day, moment in due.items() if moment is not None}
        assert found == {day: close + timedelta(minutes=30) for day, close in closes.items()}

    def test_half_day(self) -> None:
        moment = due_at(TIMETABLE["nightly"], date(2019, 11, 29))
        assert moment is not None
        assert moment.astimezone(NEW_YORK).time() == time(13, 30)
        assert TIMETABLE["nightly"].job(date(2019, 11, 29)) == Nightly(as_of=date(2019, 11, 29))

    @pytest.mark.parametrize("entry", TIMETABLE.values(), ids=lambda entry: entry.name)
    def test_each_day_has_at_most_one_moment_and_they_only_rise(self, entry: Entry) -> None:
        due = [moment for moment in (due_at(entry, day) for day in DAYS) if moment is not None]
        assert all(later - earlier >= timedelta(hours=20) for earlier, later in pairwise(due))

    @pytest.mark.parametrize(
        ("day", "utc"),
        [
            (date(2021, 3, 14), datetime(2021, 3, 14, 7, 0, tzinfo=UTC)),  # 02:00 does not exist: taken as 03:00
            (date(2021, 11, 7), datetime(2021, 11, 7, 7, 0, tzinfo=UTC)),  # 01:00 comes twice, 02:00 once
            (date(2021, 7, 4), datetime(2021, 7, 4, 6, 0, tzinfo=UTC)),
        ],
    )
    def test_change_of_clocks(self, day: date, utc: datetime) -> None:
        assert due_at(TIMETABLE["train-screener"], day) == utc
        assert due_at(TIMETABLE["build-features"], day) == utc


class TestLatestAndNext:
    @given(entry=entries, now=moments)
    def test_nothing_lies_between_latest_and_next(self, entry: Entry, now: datetime) -> None:
        found = latest_due(entry, now)
        assert found is not None
        (last_on, last_at), (next_on, next_at) = found, next_due(entry, now)
        assert last_at <= now < next_at
        assert last_on < next_on
        between = [last_on + timedelta(days=number) for number in range(1, (next_on - last_on).days)]
        assert all(due_at(entry, day) is None for day in between)

    @given(entry=entries, start=moments, steps=st.lists(st.integers(60, 48 * 3600), min_size=1, max_size=40))
    def test_looking_often_enough_finds_every_run_once(self, entry: Entry, start: datetime, steps: list[int]) -> None:
        """However irregular the looks: those seen as newest are exactly those due, but for ones outlived unseen."""
        seen: list[date] = []
        now = start
        for step in steps:
            now += timedelta(seconds=step)
            found = latest_due(entry, now)
            if found is not None and found[1] > start and (not seen or found[0] > seen[-1]):
                seen.append(found[0])
        due = [
            day
            for day in (start.date() + timedelta(days=number) for number in range(-1, (now - start).days + 2))
            if (moment := due_at(entry, day)) is not None and start < moment <= now
        ]
        assert set(seen) <= set(due)
        assert (not due) or seen[-1] == due[-1]
        if max(steps) < 20 * 3600:
            assert seen == due
