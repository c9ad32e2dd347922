"""The morning's files: what is new comes in once, what cannot be read is told and stops nobody."""

import os
from datetime import date
from pathlib import Path

import pytest

from core.clock import now
from core.config import get_settings
from core.jobs import Nightly, RefreshData, Ticket
from database.session import transaction
from database.tables.jobs import QueuedJob
from jobs.service import submit_due
from mlops.jobs.refresh_data import SETTLED_S, perform, run_refresh_data

pytestmark = pytest.mark.usefixtures("committed_database")
BARS = """Date,Open,High,Low,Close,Volume
2017-06-29,10,11,9,10.5,1000
2017-06-30,10.5,11,10,10.8,1200
"""


def put(name: str, content: str, *, seconds_ago: float = 3600.0) -> Path:
    folder = get_settings().inbox_dir
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(content)
    at = now().timestamp() - seconds_ago
    os.utime(file, (at, at))
    return file


class TestRefreshData:
    def test_without_a_vendor_it_says_so(self) -> None:
        answer = perform(RefreshData(), Ticket(1, 1, "test"))
        assert (answer["files"], answer["newest_bars_on"]) == (0, None)
        assert "no vendor is configured" in answer["note"]

    def test_brings_settled_files_in_once_and_goes_on_behind_a_bad_one(self) -> None:
        put("AAA.csv", "no bars at all\n")
        put("TEST.csv", BARS)
        put("notes.txt", "not bars")
        put("LATE.csv", BARS, seconds_ago=SETTLED_S / 2)
        first = run_refresh_data()
        assert (first.files, first.rows_changed, first.newest_bars_on) == (2, 2, date(2017, 6, 30))
        assert list(first.refused) == ["AAA.csv"]
        again = run_refresh_data()
        assert (again.already_loaded, again.rows_changed) == (1, 0)


class TestNight:
    def test_a_night_that_lacked_its_bars_is_asked_for_again_once(self) -> None:
        day = date(2017, 7, 3)
        with transaction() as session:
            refused = submit_due(session, Nightly(as_of=day), due_on=day, actor="timetable")
            assert refused is not None
            session.get_one(QueuedJob, refused).status = "refused"
            session.get_one(QueuedJob, refused).finished_at = now()
        put("NIGHT.csv", BARS.replace("2017-06-29", "2017-07-03"))
        found = run_refresh_data()
        assert found.newest_bars_on == day
        with transaction() as session:
            again = session.get_one(QueuedJob, found.night_job_id)
            assert (again.name, again.payload, again.retry_of) == ("nightly", {"as_of": "2017-07-03"}, refused)
        assert run_refresh_data().night_job_id is None
