"""Orders over the API: where they are, why, and taken back."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from database.session import transaction
from tests.api.conftest import Firm
from tests.api.trading import once, propose_for_both, run_job
from tests.factories.proposals import forget_trading
from tests.factories.quotes import NIGHT, SESSIONS, create_priced_stock

AsRole = Callable[[str], TestClient]
D = Decimal
URL = "/api/v1/orders"


@pytest.fixture(scope="module")
def stocks(firm: Firm) -> list[int]:
    """Two that trade on, and one whose last bar is of the night."""
    with transaction() as session:
        until = [day for day in SESSIONS if day <= NIGHT]
        return [
            *(create_priced_stock(session, name, sector=name) for name in ("AAA", "BBB")),
            create_priced_stock(session, "HALT", sector="HALT", sessions=until),
        ]


@pytest.fixture
def approved(as_role: AsRole, firm: Firm, stocks: list[int]) -> Iterator[dict[str, Any]]:
    """The advisor's approval of a night: order numbers by symbol, and the job that would send them."""
    propose_for_both(firm, dict.fromkeys(stocks, D("0.05")))
    client = as_role("advisor")
    done = client.post("/api/v1/recommendations/approvals", json={"filter": {}}, headers=once()).json()
    rows = client.get(URL).json()["items"]
    yield {"job_id": done["job_id"], **{row["symbol"]: row["order_id"] for row in rows}}
    with transaction() as session:
        forget_trading(session)


def cancel(client: TestClient, order_id: int) -> Any:
    return client.post(f"{URL}/{order_id}/cancellation", json={"reason": "the client called"}, headers=once())


class TestListOrders:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(URL).status_code == 401

    def test_each_advisor_sees_own(self, as_role: AsRole, approved: dict[str, Any]) -> None:
        assert as_role("advisor").get(URL).json()["total"] == 3
        assert as_role("other_advisor").get(URL).json()["total"] == 0
        assert as_role("admin").get(URL, params={"state": ["intent", "filled"]}).json()["total"] == 3
        assert as_role("admin").get(URL, params={"order_id": approved["AAA"]}).json()["total"] == 1
        assert as_role("admin").get(URL, params={"from_on": "2017-07-01"}).json()["total"] == 0


class TestShowOrder:
    def test_foreign_and_unknown_answer_alike(self, as_role: AsRole, approved: dict[str, Any]) -> None:
        client = as_role("other_advisor")
        for path in (f"{URL}/{approved['AAA']}", f"{URL}/{approved['AAA']}/lineage", f"{URL}/99999"):
            assert client.get(path).status_code == 404
        assert cancel(client, approved["AAA"]).status_code == 404

    def test_timeline_is_in_words(self, as_role: AsRole, approved: dict[str, Any]) -> None:
        run_job(approved["job_id"])
        found = as_role("viewer").get(f"{URL}/{approved['AAA']}")
        assert found.status_code == 404, "the viewer is assigned to nobody"
        found = as_role("advisor").get(f"{URL}/{approved['AAA']}").json()
        assert [step["to_state"] for step in found["timeline"]] == [
            "planned",
            "intent",
            "sending",
            "accepted",
            "filled",
        ]
        assert found["timeline"][1]["meaning"] == "approved: it is to be sent"
        assert found["timeline"][1]["because"] == "advisor@firm.example"
        assert D(found["average_price"]) == D(found["fills"][0]["price"])

    def test_lineage_leads_back_to_the_score(self, as_role: AsRole, approved: dict[str, Any]) -> None:
        found = as_role("advisor").get(f"{URL}/{approved['AAA']}/lineage").json()
        assert found["order"]["symbol"] == "AAA"
        assert found["score"]["rank"] == 1


class TestCancelOrder:
    def test_at_once_while_it_is_here(self, as_role: AsRole, approved: dict[str, Any]) -> None:
        answer = cancel(as_role("advisor"), approved["AAA"])
        assert (answer.status_code, answer.json()["state"], answer.json()["job_id"]) == (202, "canceled", None)
        run_job(approved["job_id"])
        states = {row["symbol"]: row["state"] for row in as_role("advisor").get(URL).json()["items"]}
        assert states == {"AAA": "canceled", "BBB": "filled", "HALT": "accepted"}

    def test_by_asking_the_broker_once_it_is_there(self, as_role: AsRole, approved: dict[str, Any]) -> None:
        run_job(approved["job_id"])
        answer = cancel(as_role("advisor"), approved["HALT"])
        assert (answer.json()["state"], answer.json()["job_id"] is None) == ("accepted", False)
        run_job(answer.json()["job_id"])
        found = as_role("advisor").get(f"{URL}/{approved['HALT']}").json()
        assert found["state"] == "canceled"
        assert found["cancel_asked_by"] == "advisor@firm.example"
        assert "taken back" in found["timeline"][-1]["because"]

    def test_what_has_ended_is_refused(self, as_role: AsRole, approved: dict[str, Any]) -> None:
        run_job(approved["job_id"])
        answer = cancel(as_role("advisor"), approved["AAA"])
        assert answer.status_code == 409
        assert "filled already" in answer.json()["detail"]

    def test_lookers_on_cancel_nothing(self, as_role: AsRole, approved: dict[str, Any]) -> None:
        assert cancel(as_role("service"), approved["AAA"]).status_code == 403

    def test_the_wish_is_audited(self, as_role: AsRole, approved: dict[str, Any]) -> None:
        cancel(as_role("advisor"), approved["AAA"])
        with transaction() as session:
            row = session.execute(
                text("select actor, after from audit where action = 'cancel' order by audit_id desc limit 1")
            ).one()
        assert (row.actor, row.after["reason"]) == ("advisor@firm.example", "the client called")
