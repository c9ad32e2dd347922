"""The data over the API."""

from collections.abc import Callable
from datetime import date

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete

from database.queries.bars import quarantine_rows, take_batch
from database.session import transaction
from database.tables.bars import DailyBar
from tests.factories.market import Market, create_market

AsRole = Callable[[str], TestClient]
URL = "/api/v1/data"
LAST = date(2017, 6, 30)


@pytest.fixture(scope="module")
def market(firm: object) -> Market:
    """A market in which S001 misses three sessions, two of them in a row, and three rows were refused."""
    with transaction() as session:
        made = create_market(session, instruments=4, sessions=40, last_on=LAST)
        missing = [made.sessions[place] for place in (5, 10, 11)]
        session.execute(
            delete(DailyBar).where(DailyBar.instrument_id == made.instrument_ids[1], DailyBar.session_on.in_(missing))
        )
        batch = take_batch(session, source="yahoo", file_name="bad.csv", content_sha256="1" * 64)
        quarantine_rows(
            session,
            [
                {
                    "batch_id": batch.batch_id,
                    "row_number": number,
                    "symbol": "S001" if number < 2 else None,
                    "session_on": "not a date",
                    "reason": "unreadable" if number else "negative_price",
                    "detail": "made for a test",
                    "row": {"close": "-1"},
                }
                for number in range(3)
            ],
        )
    return made


class TestShowDataStatus:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(f"{URL}/status").status_code == 401

    def test_tells_freshness_and_refused_rows(self, as_role: AsRole, market: Market) -> None:
        told = as_role("service").get(f"{URL}/status", params={"as_of": "2017-07-05"}).json()
        sets = {row["dataset"]: row for row in told["datasets"]}
        assert told["last_session_on"] == LAST.isoformat()
        assert (sets["daily_bars"]["newest_on"], sets["daily_bars"]["sessions_behind"]) == ("2017-06-30", 2)
        assert (sets["screens"]["newest_on"], sets["screens"]["sessions_behind"]) == (None, None)
        assert told["quarantined_by_reason"] == {"negative_price": 1, "unreadable": 2}


class TestShowDataCoverage:
    def test_years_stand_beside_true_members(self, as_role: AsRole, market: Market) -> None:
        told = as_role("analyst").get(f"{URL}/coverage").json()
        (year,) = told["years"]
        assert (year["bars"], year["members"], year["members_with_bars"]) == (4 * 40 - 3, 4, 4)
        assert told["warnings"] == []


class TestShowDataGaps:
    def test_missing_sessions_are_told_in_stretches(self, as_role: AsRole, market: Market) -> None:
        told = as_role("analyst").get(f"{URL}/gaps/S001").json()
        assert (told["bars"], told["sessions"]) == (37, 40)
        assert [(gap["from_on"], gap["sessions"]) for gap in told["gaps"]] == [
            (market.sessions[5].isoformat(), 1),
            (market.sessions[10].isoformat(), 2),
        ]

    def test_whole_history_has_none(self, as_role: AsRole, market: Market) -> None:
        assert as_role("analyst").get(f"{URL}/gaps/S000").json()["gaps"] == []

    def test_unknown_symbol_is_not_found(self, as_role: AsRole, market: Market) -> None:
        assert as_role("analyst").get(f"{URL}/gaps/NOPE").status_code == 404


class TestListDataImports:
    def test_filters_and_order(self, as_role: AsRole, market: Market) -> None:
        client = as_role("admin")
        page = client.get(f"{URL}/imports", params={"sort": "batch_id"}).json()
        assert [row["source"] for row in page["items"]] == ["synthetic", "yahoo"]
        only = client.get(f"{URL}/imports", params={"status": "loading"}).json()
        assert [row["file_name"] for row in only["items"]] == ["bad.csv"]


class TestListQuarantine:
    def test_rows_come_as_they_were_with_their_file(self, as_role: AsRole, market: Market) -> None:
        page = as_role("admin").get(f"{URL}/quarantine", params={"symbol": "S001", "reason": "unreadable"}).json()
        (row,) = page["items"]
        assert (row["source"], row["file_name"], row["row"]) == ("yahoo", "bad.csv", {"close": "-1"})
        assert page["total"] == 1

    def test_pages_by_a_column_with_gaps_hold_all(self, as_role: AsRole, market: Market) -> None:
        client, seen, cursor = as_role("admin"), [], None
        while True:
            params: dict[str, str | int] = {"sort": "symbol", "limit": 1}
            if cursor:
                params["cursor"] = cursor
            page = client.get(f"{URL}/quarantine", params=params).json()
            seen += [row["symbol"] for row in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert seen == ["S001", "S001", None]
