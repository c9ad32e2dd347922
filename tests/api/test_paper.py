"""Paper accounts over the API: money in and out once, a fresh start, statements that add up."""

import csv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from decimal import Decimal
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from database.session import transaction
from tests.api.conftest import Firm
from tests.factories.quotes import NIGHT, create_priced_stock

AsRole = Callable[[str], TestClient]
API = "/api/v1"


@pytest.fixture(scope="module")
def stocks(firm: Firm) -> None:
    """A stock at 100 USD: a practice without bars has no present."""
    with transaction() as session:
        create_priced_stock(session, "AAA")


@pytest.fixture
def account(as_role: AsRole, firm: Firm, stocks: None) -> dict[str, Any]:
    """A fresh paper account of the advisor's client, with 100,000 USD."""
    answer = send(
        as_role("advisor"),
        "paper",
        client_id=firm.clients["advisor"],
        name=f"Play {uuid4().hex[:6]}",
        initial_cash_usd="100000.00",
        limits={"cash_weight_min": "0.5"},
    )
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def send(client: TestClient, path: str, key: str | None = None, **body: Any) -> Any:
    return client.post(f"{API}/{path}", json=body, headers={"Idempotency-Key": key or uuid4().hex})


def at_once(count: int, call: Callable[[], Any]) -> list[Any]:
    """The same call from several threads, each of which knows the clock that the test holds."""
    contexts = [copy_context() for _ in range(count)]
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda context: context.run(call), contexts))


class TestMovements:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert send(service, "paper/1/deposits", amount_usd="5.00").status_code == 401

    def test_in_and_out(self, as_role: AsRole, account: dict[str, Any]) -> None:
        client, key = as_role("advisor"), account["account_id"]
        moved = send(client, f"paper/{key}/deposits", amount_usd="0.05", note="found").json()
        assert (moved["cash_usd"], moved["available_usd"], moved["warnings"]) == ("100000.05", "100000.05", [])
        moved = send(client, f"paper/{key}/withdrawals", amount_usd="100000.05").json()
        assert (moved["kind"], moved["cash_usd"]) == ("withdrawal", "0.00")
        assert client.get(f"{API}/accounts/{key}").json()["cash_usd"] == "0.00"

    def test_never_below_zero(self, as_role: AsRole, account: dict[str, Any]) -> None:
        answer = send(as_role("advisor"), f"paper/{account['account_id']}/withdrawals", amount_usd="100000.01")
        assert answer.status_code == 409
        assert "take out at most 100,000.00" in answer.json()["detail"]

    def test_twice_with_one_key_is_once(self, as_role: AsRole, account: dict[str, Any]) -> None:
        client, key = as_role("advisor"), account["account_id"]
        answers = [send(client, f"paper/{key}/deposits", key=f"one-{key}", amount_usd="1.00") for _ in range(3)]
        assert {answer.text for answer in answers} == {answers[0].text}
        assert client.get(f"{API}/accounts/{key}").json()["cash_usd"] == "100001.00"

    def test_at_once_they_never_overdraw(self, as_role: AsRole, account: dict[str, Any]) -> None:
        client, key = as_role("advisor"), account["account_id"]
        answers = at_once(6, lambda: send(client, f"paper/{key}/withdrawals", amount_usd="40000.00"))
        assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409, 409]
        assert client.get(f"{API}/accounts/{key}").json()["cash_usd"] == "20000.00"

    def test_another_body_under_the_key_is_refused(self, as_role: AsRole, account: dict[str, Any]) -> None:
        client, path = as_role("advisor"), f"paper/{account['account_id']}/deposits"
        assert send(client, path, key="same", amount_usd="1.00").status_code == 201
        assert send(client, path, key="same", amount_usd="2.00").status_code == 422

    @pytest.mark.parametrize("amount", ["0", "-1", "0.001", "NaN", "Infinity", "1e30", "2000000000", "lots"])
    def test_no_amount(self, as_role: AsRole, account: dict[str, Any], amount: str) -> None:
        answer = send(as_role("advisor"), f"paper/{account['account_id']}/deposits", amount_usd=amount)
        assert answer.status_code == 422
        assert "amount_usd" in answer.json()["detail"]

    def test_foreign_and_viewed_accounts_take_nothing(self, as_role: AsRole, account: dict[str, Any]) -> None:
        for verb, body in (
            ("deposits", {"amount_usd": "1.00"}),
            ("withdrawals", {"amount_usd": "1.00"}),
            ("reset", {"confirm": account["name"]}),
        ):
            path = f"paper/{account['account_id']}/{verb}"
            assert send(as_role("other_advisor"), path, **body).status_code == 404
            assert send(as_role("viewer"), path, **body).status_code == 403


class TestReset:
    def test_a_fresh_account_with_the_same_mandate(self, as_role: AsRole, account: dict[str, Any]) -> None:
        client, key = as_role("advisor"), account["account_id"]
        client.post(f"{API}/accounts/{key}/restrictions", json={"kind": "sector", "value": "Industrials"})
        answer = send(client, f"paper/{key}/reset", confirm=account["name"], initial_cash_usd="50000.00")
        assert answer.status_code == 201, answer.text
        closed, opened = answer.json()["closed"], answer.json()["opened"]
        assert (closed["status"], closed["name"]) == ("closed", f"{account['name']} (until {NIGHT_OF}, no. {key})")
        assert (opened["name"], opened["cash_usd"], opened["status"]) == (account["name"], "50000.00", "active")
        path = f"{API}/accounts/{opened['account_id']}"
        assert client.get(f"{path}/mandate").json()["cash_weight_min"] == "0.5"
        assert [row["value"] for row in client.get(f"{path}/restrictions").json()] == ["Industrials"]
        statement = client.get(f"{API}/paper/{key}/statement", params={"from": "2017-01-01", "to": "2018-01-01"}).json()
        assert statement["closing_cash_usd"] == "100000.00", "history is kept"

    def test_only_with_its_name_typed(self, as_role: AsRole, account: dict[str, Any]) -> None:
        client, key = as_role("advisor"), account["account_id"]
        answer = send(client, f"paper/{key}/reset", confirm="yes")
        assert answer.status_code == 422
        assert account["name"] in answer.json()["detail"]
        assert client.get(f"{API}/accounts/{key}").json()["status"] == "active"


class TestStatement:
    def test_adds_up_as_json_and_as_csv(self, as_role: AsRole, account: dict[str, Any]) -> None:
        client, key = as_role("advisor"), account["account_id"]
        send(client, f"paper/{key}/deposits", amount_usd="1000.10", note="=SUM(A1)")
        send(client, f"paper/{key}/withdrawals", amount_usd="60000.05")
        params = {"from": "2017-01-01", "to": "2019-12-31"}
        shown = client.get(f"{API}/paper/{key}/statement", params=params).json()
        assert (shown["opening_cash_usd"], shown["closing_cash_usd"]) == ("0.00", "41000.05")
        assert (shown["deposits_usd"], shown["withdrawals_usd"]) == ("101000.10", "60000.05")
        answer = client.get(f"{API}/paper/{key}/statement", params={**params, "format": "csv"})
        assert answer.content.startswith(b"\xef\xbb\xbf")
        rows = list(csv.DictReader(StringIO(answer.content.decode("utf-8-sig"))))
        moved = [row for row in rows if row["kind"] in {"deposit", "withdrawal"}]
        assert sum(Decimal(row["cash_usd"]) for row in moved) == Decimal("41000.05")
        assert rows[-1]["cash_usd"] == "41000.05"
        assert "'=SUM(A1)" in [row["memo"] for row in rows]

    def test_bad_stretches_name_the_field(self, as_role: AsRole, account: dict[str, Any]) -> None:
        client, path = as_role("advisor"), f"{API}/paper/{account['account_id']}/statement"
        for params, told in (
            ({"from": "2017-07-02", "to": "2017-07-01"}, "before from"),
            ({"from": "2001-01-01", "to": "2017-07-01"}, "longer than"),
            ({"from": "2017-01-01"}, "to"),
        ):
            answer = client.get(path, params=params)
            assert answer.status_code == 422
            assert told in answer.json()["detail"]
        foreign = as_role("other_advisor").get(path, params={"from": "2017-01-01", "to": "2017-07-01"})
        assert foreign.status_code == 404


NIGHT_OF = "2017-07-14"
"""The newest session with bars: no night has run in this firm."""
assert NIGHT.isoformat() < NIGHT_OF
