"""Reports over the API: asked for once, made by their job, read by those who may."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from core.jobs import MakeReport, Ticket
from database.session import transaction
from database.tables.accounts import Account
from database.tables.runs import Run
from mlops.jobs.make_report import perform
from tests.api.conftest import Firm
from tests.factories.quotes import NIGHT, create_priced_stock
from tests.factories.trades import trade, value
from trading.service import open_paper_account

AsRole = Callable[[str], TestClient]
FIRST = date(2017, 6, 28)


@pytest.fixture(scope="module")
def practice(firm: Firm) -> Firm:
    """The advisors' accounts have a past."""
    with transaction() as session:
        session.add(
            Run(job="nightly", as_of=NIGHT, book="paper", status="succeeded", steps={}, result={}, code_commit="test")
        )
        stock = create_priced_stock(session, "AAA")
        for key in firm.accounts.values():
            account = session.get_one(Account, key)
            open_paper_account(session, account_id=key)
            trade(session, account, stock, quantity=1000, session_on=FIRST, commission="0.00")
            value(session, account, {FIRST: ("900000", "100000"), NIGHT: ("900000", "100000")})
    return firm


def ask(client: TestClient, client_id: int, key: str, **body: Any) -> Any:
    return client.post(f"/api/v1/clients/{client_id}/reports", json=body, headers={"Idempotency-Key": key})


def make(report: dict[str, Any]) -> None:
    """What the worker does with the report's job."""
    job = MakeReport(client_id=report["client_id"], from_on=report["from_on"], to_on=report["to_on"])
    perform(job, Ticket(report["job_id"], report["job_id"], "ada@firm.example"))


class TestMakeClientReport:
    def test_stranger_gets_nothing(self, service: TestClient, practice: Firm) -> None:
        assert ask(service, practice.clients["advisor"], "a").status_code == 401
        for path in ("/reports", "/reports/1", "/reports/1/page"):
            assert service.get(f"/api/v1{path}").status_code == 401

    def test_from_asked_for_to_printed(self, as_role: AsRole, practice: Firm) -> None:
        client = as_role("advisor")
        asked = ask(client, practice.clients["advisor"], "one", from_on="2017-06-28")
        assert asked.status_code == 202, asked.text
        report = asked.json()
        place = asked.headers["location"]
        assert (report["status"], report["is_ready"], report["to_on"]) == ("queued", False, "2017-06-30")
        waiting = client.get(f"{place}/page")
        assert waiting.status_code == 409
        assert "not ready" in waiting.json()["detail"]
        make(report)
        found = client.get(place).json()
        assert found["is_ready"] is True
        assert found["content"]["portfolio"]["value_usd"] == "1000000.00"
        page = client.get(f"{place}/page")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "Client of advisor" in page.text

    def test_twice_is_once(self, as_role: AsRole, practice: Firm) -> None:
        client, key = as_role("advisor"), practice.clients["advisor"]
        first, second = ask(client, key, "again"), ask(client, key, "again")
        assert first.json() == second.json()
        assert second.headers["idempotency-replayed"] == "true"
        with transaction() as session:
            count = session.scalar(text("select count(*) from jobs where job_id = :id"), {"id": first.json()["job_id"]})
        assert count == 1
        assert ask(client, key, "again", from_on="2017-06-28").status_code == 422

    @pytest.mark.parametrize(
        ("role", "whose", "status"),
        [("advisor", "other_advisor", 404), ("viewer", "advisor", 403), ("analyst", "advisor", 403)],
    )
    def test_not_theirs(self, as_role: AsRole, practice: Firm, role: str, whose: str, status: int) -> None:
        assert ask(as_role(role), practice.clients[whose], f"{role}{whose}").status_code == status

    def test_days_that_are_no_period(self, as_role: AsRole, practice: Firm) -> None:
        answer = ask(as_role("advisor"), practice.clients["advisor"], "days", from_on="2017-06-30")
        assert answer.status_code == 422
        assert "from_on is 2017-06-30" in answer.json()["detail"]
        assert ask(as_role("advisor"), practice.clients["advisor"], "more", until="2017").status_code == 422


class TestReadReports:
    def test_others_reports_do_not_exist(self, as_role: AsRole, practice: Firm) -> None:
        report = ask(as_role("other_advisor"), practice.clients["other_advisor"], "mine").json()
        make(report)
        for path in ("", "/page"):
            place = f"/api/v1/reports/{report['report_id']}{path}"
            assert as_role("advisor").get(place).status_code == 404
            assert as_role("admin").get(place).status_code == 200
        listed = as_role("advisor").get("/api/v1/reports").json()["items"]
        assert report["report_id"] not in [one["report_id"] for one in listed]

    def test_list_by_client_in_pages(self, as_role: AsRole, practice: Firm) -> None:
        client = as_role("admin")
        for number in range(3):
            ask(client, practice.clients["advisor"], f"page {number}".replace(" ", "-"))
        query: dict[str, str | int] = {"client_id": practice.clients["advisor"], "limit": 2, "sort": "-created_at"}
        seen: list[int] = []
        cursor: str | None = None
        while True:
            page = client.get("/api/v1/reports", params=query | ({"cursor": cursor} if cursor else {})).json()
            seen += [one["report_id"] for one in page["items"]]
            assert all(one["client"] == "Client of advisor" for one in page["items"])
            cursor = page["next"]
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) >= 3

    def test_a_look_is_recorded(self, as_role: AsRole, practice: Firm) -> None:
        report = ask(as_role("advisor"), practice.clients["advisor"], "look").json()
        as_role("advisor").get(f"/api/v1/reports/{report['report_id']}")
        with transaction() as session:
            looks = session.scalar(
                text("select count(*) from audit where action = 'look' and subject = 'report' and subject_id = :id"),
                {"id": str(report["report_id"])},
            )
        assert looks == 1
