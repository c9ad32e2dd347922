"""Accounts over the API: opened, renamed, halted, resumed, closed."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from auth.audit import read_trail
from database.session import transaction
from tests.api.conftest import Firm
from tests.factories.quotes import create_priced_stock
from tests.factories.standings import create_listed_clients

AsRole = Callable[[str], TestClient]
URL = "/api/v1/accounts"


@pytest.fixture(scope="module")
def practice(firm: Firm) -> list[int]:
    """Some clients with accounts, and a stock with bars."""
    with transaction() as session:
        create_priced_stock(session, "AAA")
        return list(create_listed_clients(session, clients=12))


def add(client: TestClient, client_id: int, **given: Any) -> Any:
    body = {"client_id": client_id, "name": f"Savings {uuid4().hex[:6]}", **given}
    return client.post(URL, json=body, headers={"Idempotency-Key": str(uuid4())})


class TestListAccounts:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(URL).status_code == 401

    @pytest.mark.parametrize("sort", ["name", "client", "-value_usd", "drift", "-health_score", "opened_on"])
    def test_every_row_once(self, as_role: AsRole, practice: list[int], sort: str) -> None:
        client = as_role("admin")
        wanted = {row["account_id"] for row in client.get(URL, params={"limit": 500}).json()["items"]}
        found: list[int] = []
        cursor: str | None = None
        while True:
            page = client.get(URL, params={"sort": sort, "limit": 3, **({"cursor": cursor} if cursor else {})}).json()
            found += [row["account_id"] for row in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert sorted(found) == sorted(wanted)

    def test_filters(self, as_role: AsRole, practice: list[int]) -> None:
        client = as_role("admin")
        rows = client.get(URL, params={"limit": 500}).json()["items"]
        for name, value in (("is_autonomous", True), ("is_autonomous", False), ("is_off_plan", True)):
            found = client.get(URL, params={"limit": 500, name: value}).json()["items"]
            key = "off_plan_count" if name == "is_off_plan" else name
            assert [row["account_id"] for row in found] == [
                row["account_id"] for row in rows if bool(row[key]) is value
            ]

    def test_a_foreign_account_is_not_there(self, as_role: AsRole, firm: Firm) -> None:
        foreign = firm.accounts["other_advisor"]
        client = as_role("advisor")
        assert client.get(f"{URL}/{foreign}").status_code == 404
        for path, body in (("close", {"reason": "x"}), ("halt", {"reason": "x"}), ("resume", {"reason": "x"})):
            assert client.post(f"{URL}/{foreign}/{path}", json=body).status_code == 404
        assert client.patch(f"{URL}/{foreign}", json={"name": "mine"}).status_code == 404


class TestAddAccount:
    def test_a_second_account_with_its_own_deposit(self, as_role: AsRole, firm: Firm, practice: list[int]) -> None:
        answer = add(as_role("advisor"), firm.clients["advisor"], initial_cash_usd="50000.00", taxation="tax_free")
        assert answer.status_code == 201, answer.text
        account = answer.json()
        assert (account["cash_usd"], account["taxation"], account["mandate_version"]) == ("50000.00", "tax_free", 1)

    def test_without_cash_it_waits_for_its_holdings(self, as_role: AsRole, firm: Firm, practice: list[int]) -> None:
        account = add(as_role("advisor"), firm.clients["advisor"], initial_cash_usd="0").json()
        assert (account["cash_usd"], account["value_usd"]) == ("0.00", "0.00")

    def test_a_name_that_the_client_uses_is_refused(self, as_role: AsRole, firm: Firm, practice: list[int]) -> None:
        client, key = as_role("advisor"), firm.clients["advisor"]
        assert add(client, key, name="Pension").status_code == 201
        answer = add(client, key, name="Pension")
        assert answer.status_code == 422
        assert "has an account of that name" in answer.json()["detail"]

    def test_a_foreign_client_is_not_there(self, as_role: AsRole, firm: Firm, practice: list[int]) -> None:
        assert add(as_role("advisor"), firm.clients["other_advisor"]).status_code == 404


class TestChangeAccount:
    def test_renamed_with_what_was_read(self, as_role: AsRole, firm: Firm, practice: list[int]) -> None:
        client = as_role("advisor")
        key = add(client, firm.clients["advisor"]).json()["account_id"]
        etag = client.get(f"{URL}/{key}").headers["etag"]
        answer = client.patch(f"{URL}/{key}", json={"taxation": "tax_deferred"}, headers={"If-Match": etag})
        assert answer.json()["taxation"] == "tax_deferred"
        assert client.patch(f"{URL}/{key}", json={"name": "x"}, headers={"If-Match": etag}).status_code == 412
        assert client.patch(f"{URL}/{key}", json={"status": "closed"}).status_code == 422

    def test_halted_resumed_closed_each_with_its_reason(self, as_role: AsRole, firm: Firm, practice: list[int]) -> None:
        client = as_role("advisor")
        key = add(client, firm.clients["advisor"]).json()["account_id"]

        def act(verb: str) -> Any:
            return client.post(f"{URL}/{key}/{verb}", json={"reason": f"why {verb}"})

        assert act("resume").status_code == 422
        assert act("halt").json()["halted_reason"] == "why halt"
        assert act("resume").json()["status"] == "active"
        closed = act("close").json()
        assert (closed["status"], closed["closed_on"]) == ("closed", closed["opened_on"])
        for verb in ("close", "halt"):
            answer = act(verb)
            assert answer.status_code == 409
            assert "was closed on" in answer.json()["detail"]
        with transaction() as session:
            trail = read_trail(session, subject="account", subject_id=key)
        assert [row.action for row in trail] == ["add", "halt", "resume", "close"]
        assert client.post(f"{URL}/{key}/close", json={}).status_code == 422
