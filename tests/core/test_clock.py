"""One source of now, which a test or a replay may hold."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from core.clock import fixed_clock, now, today_in_new_york


class TestFixedClock:
    def test_holds_and_lets_go(self) -> None:
        before = now()
        with fixed_clock(datetime(2017, 6, 30, 22, 0, tzinfo=UTC)):
            assert now() == datetime(2017, 6, 30, 22, 0, tzinfo=UTC)
            with fixed_clock(datetime(2016, 1, 4, tzinfo=UTC)):
                assert now().year == 2016
            assert now().year == 2017
        assert now() == before

    def test_lets_go_after_an_error(self) -> None:
        before = now()
        with pytest.raises(RuntimeError), fixed_clock(datetime(2017, 6, 30, tzinfo=UTC)):
            raise RuntimeError
        assert now() == before

    def test_answers_in_utc_whatever_zone_it_was_given(self) -> None:
        with fixed_clock(datetime(2017, 6, 30, 20, 0, tzinfo=timezone(timedelta(hours=-4)))):
            assert now().utcoffset() == timedelta(0)
            assert now().day == 1

    def test_refuses_a_time_without_zone(self) -> None:
        with pytest.raises(ValueError, match="zone"), fixed_clock(datetime(2017, 6, 30)):  # noqa: DTZ001 the point
            pass


class TestTodayInNewYork:
    @pytest.mark.parametrize(
        ("moment", "day"),
        [
            (datetime(2017, 7, 1, 3, 59, tzinfo=UTC), date(2017, 6, 30)),  # summer time: UTC-4
            (datetime(2017, 7, 1, 4, 0, tzinfo=UTC), date(2017, 7, 1)),
            (datetime(2017, 12, 1, 4, 59, tzinfo=UTC), date(2017, 11, 30)),  # winter time: UTC-5
            (datetime(2017, 12, 1, 5, 0, tzinfo=UTC), date(2017, 12, 1)),
        ],
    )
    def test_day_turns_at_midnight_there(self, moment: datetime, day: date) -> None:
        with fixed_clock(moment):
            assert today_in_new_york() == day
