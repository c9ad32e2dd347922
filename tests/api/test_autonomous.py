"""Accounts that trade by themselves, over the API."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from database.session import transaction
from database.tables.runs import Run
from tests.api.conftest import Firm
from tests.api.trading import once, propose_for_both
from tests.factories.proposals import forget_trading
from tests.factories.quotes import NEXT, NIGHT, create_priced_stock
from trading import service as trading

AsRole = Callable[[str], TestClient]
D = Decimal
URL = "/api/v1/autonomous"


@pytest.fixture(scope="module")
def stocks(firm: Firm) -> list[int]:
    """Four stocks, and a book that has lived to NIGHT."""
    with transaction() as session:
        session.add(
            Run(job="nightly", as_of=NIGHT, book="paper", status="succeeded", steps={}, result={}, code_commit="c" * 40)
        )
        return [create_priced_stock(session, name, sector=name) for name in ("AAA", "BBB", "CCC", "DDD")]


@pytest.fixture
def night(firm: Firm, stocks: list[int]) -> Iterator[None]:
    propose_for_both(firm, dict.fromkeys(stocks, D("0.05")), autonomous=True)
    yield
    with transaction() as session:
        forget_trading(session)
        session.execute(text("update autonomous_settings set enabled = true, paused_at = null, paused_reason = null"))


def approve_night() -> trading.Approved:
    with transaction() as session:
        return trading.approve_autonomous(session, as_of=NIGHT, book="paper")


class TestListAutonomous:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(URL).status_code == 401

    def test_shows_settings_and_what_the_night_came_to(self, as_role: AsRole, firm: Firm, night: None) -> None:
        approve_night()
        (row,) = as_role("advisor").get(URL).json()["items"]
        assert (row["account_id"], row["mode"]) == (firm.accounts["advisor"], "automatic")
        assert (row["approved"], row["waiting"], D(row["traded_usd"])) == (4, 0, D(200000))
        assert as_role("admin").get(URL, params={"mode": "off"}).json()["total"] == 0

    def test_decisions_are_those_without_a_person(self, as_role: AsRole, night: None) -> None:
        approve_night()
        found = as_role("advisor").get(f"{URL}/decisions").json()
        assert {row["decided_by"] for row in found["items"]} == {"autonomous"}
        assert found["total"] == 4


class TestShowAutonomousOverview:
    def test_counts_and_the_next_run(self, as_role: AsRole, night: None) -> None:
        """Thursday 2 April 2020, noon UTC: the night runs at 16:30 in New York, 20:30 UTC."""
        found = as_role("advisor").get(f"{URL}/overview").json()
        assert (found["automatic"], found["paused"], found["off"]) == (1, 0, 0)
        assert found["last_night_on"] == str(NIGHT)
        assert (found["next_night_on"], found["next_run_at"]) == ("2020-04-02", "2020-04-02T20:30:00Z")


class TestChangeAutonomous:
    def test_foreign_and_unknown_are_not_found(self, as_role: AsRole, firm: Firm, night: None) -> None:
        client = as_role("other_advisor")
        key = firm.accounts["advisor"]
        assert client.get(f"{URL}/{key}").status_code == 404
        assert client.patch(f"{URL}/{key}", json={"is_enabled": False}).status_code == 404
        assert client.post(f"{URL}/{key}/pause", json={"reason": "no"}).status_code == 404
        assert client.post(f"{URL}/{key}/resume").status_code == 404
        assert client.get(f"{URL}/999999").status_code == 404

    def test_limits_hold_for_the_next_night_and_can_be_lifted(self, as_role: AsRole, firm: Firm, night: None) -> None:
        """Two orders of 50,000 USD each fit under 120,000 USD; the third would not."""
        path = f"{URL}/{firm.accounts['advisor']}"
        assert as_role("advisor").patch(path, json={"traded_usd_max": "120000"}).json()["traded_usd_max"] == "120000.00"
        done = approve_night()
        assert (done.orders, done.waiting) == (2 + 4, 2)
        shown = as_role("advisor").get(path).json()
        assert (shown["approved"], shown["waiting"]) == (2, 2)
        assert as_role("advisor").patch(path, json={"traded_usd_max": None}).json()["traded_usd_max"] is None

    @pytest.mark.parametrize("given", [{"orders_max": -1}, {"orders_max": 1.5}, {"traded_usd_max": "-1"}, {"mode": 1}])
    def test_bad_limits_are_refused(self, as_role: AsRole, firm: Firm, night: None, given: dict[str, Any]) -> None:
        assert as_role("advisor").patch(f"{URL}/{firm.accounts['advisor']}", json=given).status_code == 422

    def test_lookers_on_change_nothing(self, as_role: AsRole, firm: Firm, night: None) -> None:
        assert as_role("service").patch(f"{URL}/{firm.accounts['advisor']}", json={}).status_code == 403


class TestPauseAutonomous:
    def test_pause_keeps_its_reason_and_resume_ends_it(self, as_role: AsRole, firm: Firm, night: None) -> None:
        path, client = f"{URL}/{firm.accounts['advisor']}", as_role("advisor")
        paused = client.post(f"{path}/pause", json={"reason": "divorce under way"}).json()
        assert (paused["mode"], paused["paused_reason"]) == ("paused", "divorce under way")
        assert client.post(f"{path}/pause", json={"reason": "again"}).status_code == 409
        changed = client.patch(path, json={"orders_max": 3}).json()
        assert (changed["mode"], changed["paused_reason"], changed["orders_max"]) == ("paused", "divorce under way", 3)
        assert approve_night().orders == 4
        assert client.post(f"{path}/resume").json()["mode"] == "automatic"
        assert client.post(f"{path}/resume").status_code == 409


class TestRunNight:
    def test_carries_the_book_on_by_one_night(self, as_role: AsRole, night: None) -> None:
        """Today, in 2020, has no bars here: the book's next session has."""
        answer = as_role("advisor").post(f"{URL}/run", headers=once())
        assert (answer.status_code, answer.json()["as_of"]) == (202, str(NEXT))
        with transaction() as session:
            row = session.execute(
                text("select name, payload, actor from jobs where job_id = :key"), {"key": answer.json()["job_id"]}
            ).one()
        assert (row.name, row.payload, row.actor) == ("nightly", {"as_of": str(NEXT)}, "advisor@firm.example")

    def test_without_bars_it_says_so(self, as_role: AsRole, night: None) -> None:
        with transaction() as session:
            session.execute(text("update runs set as_of = '2017-07-14'"))
        answer = as_role("admin").post(f"{URL}/run", headers=once())
        with transaction() as session:
            session.execute(text("update runs set as_of = :night"), {"night": NIGHT})
        assert answer.status_code == 409
        assert "no bars of 2017-07-17" in answer.json()["detail"]

    def test_viewer_has_no_right(self, as_role: AsRole) -> None:
        assert as_role("viewer").post(f"{URL}/run", headers=once()).status_code == 403
