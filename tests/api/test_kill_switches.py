"""Kill switches over the API: who may throw which, and that nothing leaves while one is on."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from database.session import dispose, transaction
from tests.api.conftest import Firm
from tests.api.trading import once, propose_for_both, run_job
from tests.factories.proposals import forget_trading
from tests.factories.quotes import create_priced_stock

AsRole = Callable[[str], TestClient]
D = Decimal
URL = "/api/v1/kill-switches"


@pytest.fixture(scope="module")
def stocks(firm: Firm) -> list[int]:
    with transaction() as session:
        return [create_priced_stock(session, name, sector=name) for name in ("AAA", "BBB")]


@pytest.fixture
def clean(firm: Firm) -> Iterator[None]:
    yield
    with transaction() as session:
        forget_trading(session)


@pytest.fixture
def approved(as_role: AsRole, firm: Firm, stocks: list[int], clean: None) -> int:
    """The job that would send the advisor's approved orders."""
    propose_for_both(firm, dict.fromkeys(stocks, D("0.05")))
    choice = {"filter": {"client_id": firm.clients["advisor"]}}
    return int(
        as_role("advisor").post("/api/v1/recommendations/approvals", json=choice, headers=once()).json()["job_id"]
    )


def engage(client: TestClient, scope: str, **target: Any) -> Any:
    return client.post(URL, json={"scope": scope, "reason": "prices look wrong", **target}, headers=once())


def release(client: TestClient, key: int, **given: Any) -> Any:
    return client.post(f"{URL}/{key}/release", json={"reason": "put right", **given}, headers=once())


def states(client: TestClient) -> list[str]:
    return sorted(row["state"] for row in client.get("/api/v1/orders").json()["items"])


class TestListKillSwitches:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(URL).status_code == 401

    def test_a_clients_switch_is_seen_by_who_sees_the_client(self, as_role: AsRole, firm: Firm, clean: None) -> None:
        assert engage(as_role("advisor"), "client", client_id=firm.clients["advisor"]).status_code == 201
        assert engage(as_role("admin"), "everything").status_code == 201
        seen = {role: as_role(role).get(URL).json()["items"] for role in ("advisor", "other_advisor", "admin")}
        assert [len(seen[role]) for role in ("advisor", "other_advisor", "admin")] == [2, 1, 2]
        assert {row["client"] for row in seen["advisor"]} == {"Client of advisor", None}
        assert as_role("admin").get(URL, params={"engaged": False}).json()["total"] == 0


class TestEngageKillSwitch:
    def test_only_an_admin_stops_strategies_and_everything(self, as_role: AsRole, firm: Firm, clean: None) -> None:
        assert engage(as_role("advisor"), "everything").status_code == 403
        assert engage(as_role("advisor"), "strategy", strategy="momentum_largecap").status_code == 403
        assert engage(as_role("viewer"), "client", client_id=firm.clients["advisor"]).status_code == 403
        assert engage(as_role("advisor"), "client", client_id=firm.clients["other_advisor"]).status_code == 404
        answer = engage(as_role("admin"), "strategy", strategy="momentum_largecap")
        assert (answer.status_code, answer.json()["is_settled"]) == (201, True)

    @pytest.mark.parametrize(
        ("scope", "target", "status"),
        [
            ("client", {}, 422),
            ("strategy", {}, 422),
            ("everything", {"strategy": "momentum_largecap"}, 422),
            ("strategy", {"strategy": "astrology"}, 404),
            ("planet", {}, 422),
        ],
    )
    def test_bad_targets_are_refused(
        self, as_role: AsRole, scope: str, target: dict[str, Any], status: int, clean: None
    ) -> None:
        assert engage(as_role("admin"), scope, **target).status_code == status

    def test_twice_is_refused(self, as_role: AsRole, clean: None) -> None:
        engage(as_role("admin"), "everything")
        assert engage(as_role("admin"), "everything").status_code == 409

    def test_holds_approved_orders_back_and_after_a_restart_too(
        self, as_role: AsRole, firm: Firm, approved: int
    ) -> None:
        assert engage(as_role("advisor"), "client", client_id=firm.clients["advisor"]).status_code == 201
        dispose()
        run_job(approved)
        advisor = as_role("advisor")
        assert states(advisor) == ["intent", "intent"]
        order_id = advisor.get("/api/v1/orders").json()["items"][0]["order_id"]
        assert "prices look wrong" in advisor.get(f"/api/v1/orders/{order_id}").json()["waits_because"]

    def test_is_audited(self, as_role: AsRole, clean: None) -> None:
        key = engage(as_role("admin"), "everything").json()["kill_switch_id"]
        release(as_role("admin"), key, typed="everything")
        with transaction() as session:
            rows = session.execute(
                text("select action from audit where subject = 'kill_switch' and subject_id = :key order by audit_id"),
                {"key": str(key)},
            )
            assert rows.scalars().all() == ["engage", "release"]


class TestReleaseKillSwitch:
    def test_everything_needs_the_word_and_an_admin(self, as_role: AsRole, clean: None) -> None:
        key = engage(as_role("admin"), "everything").json()["kill_switch_id"]
        assert release(as_role("advisor"), key, typed="everything").status_code == 403
        assert release(as_role("admin"), key).status_code == 422
        assert release(as_role("admin"), key, typed="yes").status_code == 422
        assert release(as_role("admin"), key, typed="everything").status_code == 200
        assert release(as_role("admin"), key, typed="everything").status_code == 409
        assert as_role("admin").get(URL).json()["items"][0]["release_reason"] == "put right"

    def test_foreign_is_not_found(self, as_role: AsRole, firm: Firm, clean: None) -> None:
        key = engage(as_role("advisor"), "client", client_id=firm.clients["advisor"]).json()["kill_switch_id"]
        assert release(as_role("other_advisor"), key).status_code == 404

    def test_nothing_leaves_by_itself_and_all_of_it_when_asked(
        self, as_role: AsRole, firm: Firm, approved: int
    ) -> None:
        advisor = as_role("advisor")
        first = engage(advisor, "client", client_id=firm.clients["advisor"]).json()["kill_switch_id"]
        run_job(approved)
        done = release(advisor, first).json()
        assert (len(done["waiting_order_ids"]), done["job_id"]) == (2, None)
        assert states(advisor) == ["intent", "intent"]
        again = engage(advisor, "client", client_id=firm.clients["advisor"]).json()["kill_switch_id"]
        done = release(advisor, again, send_waiting=True).json()
        run_job(done["job_id"])
        assert states(advisor) == ["filled", "filled"]
