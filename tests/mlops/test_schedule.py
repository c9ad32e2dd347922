"""The timetable: every line is a job that the worker knows, and falls due at the hour of New York."""

from datetime import UTC, datetime, timedelta

import pytest

from core.clock import fixed_clock, now
from mlops.celery_app import QUEUED, app
from mlops.jobs import JOBS
from mlops.schedule import SCHEDULE, Days, Entry, beat_schedule


class TestSchedule:
    def test_holds_each_job_once(self) -> None:
        names = [entry.job.name for entry in SCHEDULE]
        assert len(set(names)) == len(names)

    @pytest.mark.parametrize("entry", SCHEDULE, ids=lambda entry: entry.job.name)
    def test_job_is_one_that_the_worker_takes(self, entry: Entry) -> None:
        assert type(entry.job) in QUEUED
        assert entry.job.name in app.tasks
        assert entry.job.name.replace("-", "_") in JOBS

    @pytest.mark.parametrize("entry", SCHEDULE, ids=lambda entry: entry.job.name)
    def test_payload_survives_the_journey(self, entry: Entry) -> None:
        payload = beat_schedule()[entry.job.name]["kwargs"]["payload"]
        assert type(entry.job).model_validate(payload) == entry.job

    def test_trading_waits_for_the_close_and_for_its_features(self) -> None:
        at = {entry.job.name: entry.at for entry in SCHEDULE}
        assert at["nightly"] > at["build-features"]
        assert min(at["nightly"], at["build-features"]).hour >= 17


class TestBeatSchedule:
    @pytest.mark.parametrize(
        ("moment", "due"),
        [
            (datetime(2020, 7, 1, 22, 30, tzinfo=UTC), True),  # Wednesday 18:30 in summer time
            (datetime(2020, 7, 1, 23, 30, tzinfo=UTC), False),
            (datetime(2020, 12, 2, 23, 30, tzinfo=UTC), True),  # Wednesday 18:30 in winter time
            (datetime(2020, 12, 2, 22, 30, tzinfo=UTC), False),
            (datetime(2020, 7, 4, 22, 30, tzinfo=UTC), False),  # Saturday
        ],
    )
    def test_nightly_is_due_at_half_past_six_in_new_york(self, moment: datetime, due: bool) -> None:
        schedule = app.conf.beat_schedule["nightly"]["schedule"]
        schedule.app = app
        schedule.nowfun = now
        with fixed_clock(moment):
            assert schedule.is_due(moment - timedelta(minutes=1)).is_due is due

    @pytest.mark.parametrize(
        ("days", "numbers"),
        [(Days.SESSIONS, {1, 2, 3, 4, 5}), (Days.SATURDAYS, {6}), (Days.SUNDAYS, {0}), (Days.EVERY_DAY, set(range(7)))],
    )
    def test_days_of_the_week(self, days: Days, numbers: set[int]) -> None:
        entries = [beat_schedule()[entry.job.name] for entry in SCHEDULE if entry.days is days]
        assert entries
        assert all(entry["schedule"].day_of_week == numbers for entry in entries)
