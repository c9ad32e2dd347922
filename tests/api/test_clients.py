"""Clients over the API: lists that lose no row, people added, changed, assigned and put away."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from auth.audit import read_trail
from database.session import limited_engine, transaction
from database.tables.orders import Order
from tests.api.conftest import Firm
from tests.factories.quotes import NIGHT, create_priced_stock
from tests.factories.standings import TOLERANCES, create_listed_clients

AsRole = Callable[[str], TestClient]
URL = "/api/v1/clients"
SORTS = (
    "name",
    "household",
    "risk_tolerance",
    "reviewed_on",
    "created_at",
    "accounts",
    "value_usd",
    "cash_usd",
    "day_change_usd",
    "year_return",
    "drift",
    "off_plan_count",
    "health_score",
)


@pytest.fixture(scope="module")
def practice(firm: Firm) -> list[int]:
    """Forty clients, some of whom nothing is known, and a stock with bars."""
    with transaction() as session:
        create_priced_stock(session, "AAA")
        return list(create_listed_clients(session, clients=40))


def add(client: TestClient, **given: Any) -> Any:
    body = {"name": "Ada Fern", "household": f"Fern {uuid4().hex[:6]}", **given}
    return client.post(URL, json=body, headers={"Idempotency-Key": str(uuid4())})


def walk(client: TestClient, **params: Any) -> list[dict[str, Any]]:
    """Every row of a list, page by page."""
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        answer = client.get(URL, params={**params, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["items"]) <= params["limit"]
        if cursor is None:
            total = page["total"]
        rows += page["items"]
        cursor = page["next"]
        if cursor is None:
            assert len(rows) == total
            return rows


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that the API's connections run."""
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    event.listen(limited_engine(), "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(limited_engine(), "before_cursor_execute", note)


class TestListClients:
    def test_stranger_gets_nothing(self, service: TestClient) -> None:
        assert service.get(URL).status_code == 401

    def test_an_advisor_sees_their_own(self, as_role: AsRole, firm: Firm, practice: list[int]) -> None:
        rows = walk(as_role("advisor"), limit=50)
        assert [row["client_id"] for row in rows] == [firm.clients["advisor"]]

    def test_every_row_once_whatever_the_order(self, as_role: AsRole, firm: Firm, practice: list[int]) -> None:
        client, everybody = as_role("admin"), {*practice, *firm.clients.values()}

        @settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(sort=st.sampled_from(SORTS), descending=st.booleans(), limit=st.sampled_from((1, 7, 41, 500)))
        def check(sort: str, descending: bool, limit: int) -> None:
            rows = walk(client, sort=f"{'-' if descending else ''}{sort}", limit=max(limit, 4))
            assert sorted(row["client_id"] for row in rows) == sorted(everybody)
            known = [row[sort] for row in rows if row[sort] is not None]
            assert [row[sort] for row in rows][: len(known)] == known, "unknown values come last"
            if sort not in {"name", "household", "risk_tolerance", "reviewed_on", "created_at", "accounts"}:
                numbers = [Decimal(str(value)) for value in known]
                assert numbers == sorted(numbers, reverse=descending)

        check()

    def test_filters_take_exactly_what_fits(self, as_role: AsRole, practice: list[int]) -> None:
        client = as_role("admin")
        everybody = walk(client, limit=500)
        for tolerance in TOLERANCES:
            found = walk(client, limit=500, risk_tolerance=tolerance)
            assert found == [row for row in everybody if row["risk_tolerance"] == tolerance]
        assert walk(client, limit=500, drift_min="0.2") == [
            row for row in everybody if row["drift"] is not None and Decimal(row["drift"]) >= Decimal("0.2")
        ]
        assert walk(client, limit=500, is_off_plan=True) == [row for row in everybody if row["off_plan_count"]]
        assert walk(client, limit=500, search="PERSON 00") == [
            row for row in everybody if "person 00" in row["name"].lower()
        ]
        assert walk(client, limit=500, search="100%") == []

    def test_a_sum_with_an_unknown_part_is_unknown(self, as_role: AsRole, practice: list[int]) -> None:
        client = as_role("admin")
        accounts = client.get("/api/v1/accounts", params={"limit": 500}).json()["items"]
        for row in walk(client, limit=500):
            own = [account["value_usd"] for account in accounts if account["client_id"] == row["client_id"]]
            wanted = None if not own or None in own else sum((Decimal(value) for value in own), Decimal(0))
            assert row["value_usd"] == (None if wanted is None else str(wanted.quantize(Decimal("0.01"))))

    @pytest.mark.parametrize("word", ["clients", "accounts", "households"])
    def test_queries_do_not_grow_with_the_rows(self, as_role: AsRole, practice: list[int], word: str) -> None:
        client = as_role("admin")
        counts = set()
        for limit in (2, 40):
            with counted() as statements:
                assert len(client.get(f"/api/v1/{word}", params={"limit": limit}).json()["items"]) > limit / 2
            counts.add(len(statements))
        assert len(counts) == 1

    def test_a_foreign_cursor_is_refused(self, as_role: AsRole, practice: list[int]) -> None:
        cursor = as_role("admin").get(URL, params={"limit": 2, "sort": "name"}).json()["next"]
        answer = as_role("admin").get(URL, params={"limit": 2, "sort": "drift", "cursor": cursor})
        assert answer.status_code == 422


class TestAddClient:
    def test_with_a_first_account_and_its_deposit(self, as_role: AsRole, practice: list[int]) -> None:
        answer = add(
            as_role("advisor"), account={"initial_cash_usd": "250000.00", "limits": {"cash_weight_min": "0.2"}}
        )
        assert answer.status_code == 201, answer.text
        shown = answer.json()
        (account,) = shown["account_list"]
        assert (account["value_usd"], account["cash_usd"], account["is_autonomous"]) == (
            "250000.00",
            "250000.00",
            False,
        )
        mandate = as_role("advisor").get(f"/api/v1/accounts/{account['account_id']}/mandate").json()
        assert (mandate["cash_weight_min"], mandate["version"]) == ("0.2", 1)
        assert [row["email"] for row in shown["advisors"]] == ["advisor@firm.example"]
        assert as_role("other_advisor").get(f"{URL}/{shown['client_id']}").status_code == 404

    def test_nothing_stays_of_what_is_refused(self, as_role: AsRole, practice: list[int]) -> None:
        client = as_role("advisor")
        answer = add(client, household="Half made", account={"initial_cash_usd": "5.00"})
        assert answer.status_code == 422
        assert "initial_cash_usd is 5.00" in answer.json()["detail"]
        assert client.get("/api/v1/households", params={"search": "Half made"}).json()["items"] == []

    def test_the_same_name_in_one_household_is_refused(self, as_role: AsRole, practice: list[int]) -> None:
        client = as_role("advisor")
        first = add(client).json()
        answer = add(client, household=None, household_id=first["household_id"])
        assert answer.status_code == 422
        assert "has a client of that name" in answer.json()["detail"]

    def test_a_foreign_household_is_not_there(self, as_role: AsRole, practice: list[int]) -> None:
        home = add(as_role("other_advisor")).json()["household_id"]
        assert add(as_role("advisor"), household=None, household_id=home).status_code == 404

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"household_id": 1}, "not both"),
            ({"household": None}, "not both or none"),
            ({"risk_tolerance": "wild"}, "risk_tolerance"),
            ({"email": "nobody"}, "email is 'nobody'"),
            ({"phone": "call me"}, "phone is 'call me'"),
            ({"name": "a\u0007b"}, "control character"),
            ({"account": {"limits": {"preferred_strategy": "x"}}}, "unknown strategy"),
            ({"account": {"initial_cash_usd": "NaN"}}, "initial_cash_usd"),
        ],
    )
    def test_bad_input_names_the_field(
        self, as_role: AsRole, practice: list[int], given: dict[str, Any], told: str
    ) -> None:
        answer = add(as_role("advisor"), **given)
        assert answer.status_code in {404, 422}
        assert told in answer.json()["detail"]


class TestChangeClient:
    def test_single_fields_are_changed_and_audited(self, as_role: AsRole, practice: list[int]) -> None:
        client = as_role("advisor")
        key = add(client).json()["client_id"]
        answer = client.patch(f"{URL}/{key}", json={"risk_tolerance": "growth", "reviewed_on": "2020-03-31"})
        assert (answer.json()["risk_tolerance"], answer.json()["reviewed_on"]) == ("growth", "2020-03-31")
        assert answer.json()["name"] == "Ada Fern"
        with transaction() as session:
            row = read_trail(session, subject="client", subject_id=key)[-1]
        assert (row.actor, row.before) == (
            "advisor@firm.example",
            {"risk_tolerance": "balanced", "reviewed_on": None},
        )

    def test_an_older_reading_changes_nothing(self, as_role: AsRole, practice: list[int]) -> None:
        client = as_role("advisor")
        key = add(client).json()["client_id"]
        etag = client.get(f"{URL}/{key}").headers["etag"]
        assert client.patch(f"{URL}/{key}", json={"note": "a"}, headers={"If-Match": etag}).status_code == 200
        assert client.patch(f"{URL}/{key}", json={"note": "b"}, headers={"If-Match": etag}).status_code == 412

    def test_a_foreign_client_is_not_there(self, as_role: AsRole, firm: Firm) -> None:
        foreign = firm.clients["other_advisor"]
        for method, path in (
            ("get", ""),
            ("patch", ""),
            ("get", "/activity"),
            ("get", "/accounts"),
            ("get", "/advisors"),
        ):
            body = {"name": "Mine"} if method == "patch" else None
            answer = as_role("advisor").request(method, f"{URL}/{foreign}{path}", json=body)
            assert answer.status_code == 404
            assert "Client of" not in answer.text


class TestArchiveClient:
    def test_put_away_and_brought_back(self, as_role: AsRole, practice: list[int]) -> None:
        client = as_role("advisor")
        key = add(client).json()["client_id"]
        assert client.post(f"{URL}/{key}/archive", json={"reason": "left"}).json()["archived_at"] is not None
        assert key not in [row["client_id"] for row in walk(client, limit=500)]
        assert key in [row["client_id"] for row in walk(client, limit=500, archived="only")]
        assert client.post(f"{URL}/{key}/archive", json={"reason": "left"}).status_code == 409
        assert client.post(f"{URL}/{key}/restore").json()["archived_at"] is None

    def test_with_orders_under_way_it_is_refused(self, as_role: AsRole, firm: Firm, practice: list[int]) -> None:
        account_id, client_id = firm.accounts["other_advisor"], firm.clients["other_advisor"]
        with transaction() as session:
            stock = create_priced_stock(session, "ORD")
            order = Order(
                client_order_id="archive-test",
                account_id=account_id,
                instrument_id=stock,
                session_on=NIGHT,
                side="buy",
                quantity=Decimal(1),
                state="intent",
                broker="paper",
            )
            session.add(order)
            session.flush()
            order_id = order.order_id
        client = as_role("other_advisor")
        for path in (f"{URL}/{client_id}/archive", f"/api/v1/accounts/{account_id}/close"):
            answer = client.post(path, json={"reason": "left"})
            assert answer.status_code == 409
            assert f"({order_id}): cancel them" in answer.json()["detail"]


class TestAssignments:
    def test_an_assigned_advisor_sees_the_client_until_it_ends(
        self, as_role: AsRole, firm: Firm, practice: list[int]
    ) -> None:
        admin, key, advisor = as_role("admin"), practice[0], firm.users["other_advisor"]
        path = f"{URL}/{key}/advisors"
        assert as_role("other_advisor").get(f"{URL}/{key}").status_code == 404
        assert admin.post(path, json={"advisor_id": advisor}).status_code == 201
        assert as_role("other_advisor").get(f"{URL}/{key}").status_code == 200
        assert key in [row["client_id"] for row in walk(admin, limit=500, advisor_id=advisor)]
        assert admin.post(path, json={"advisor_id": advisor}).status_code == 409
        assert admin.delete(f"{path}/{advisor}").status_code == 200
        assert as_role("other_advisor").get(f"{URL}/{key}").status_code == 404
        assert admin.delete(f"{path}/{advisor}").status_code == 404
        with transaction() as session:
            actions = [row.action for row in read_trail(session, subject="client", subject_id=key)]
        assert [action for action in actions if action != "look"] == ["assign", "end_assignment"]

    def test_only_admins_assign_and_only_advisors_are_assigned(
        self, as_role: AsRole, firm: Firm, practice: list[int]
    ) -> None:
        path = f"{URL}/{firm.clients['advisor']}/advisors"
        assert as_role("advisor").post(path, json={"advisor_id": firm.users["viewer"]}).status_code == 403
        answer = as_role("admin").post(path, json={"advisor_id": firm.users["analyst"]})
        assert answer.status_code == 422
        assert "role analyst" in answer.json()["detail"]
        assert as_role("admin").post(path, json={"advisor_id": 99999}).status_code == 404


class TestActivity:
    def test_tells_movements_and_orders_newest_first(self, as_role: AsRole, practice: list[int]) -> None:
        client = as_role("advisor")
        key = add(client, account={}).json()["client_id"]
        (event_,) = client.get(f"{URL}/{key}/activity").json()["items"]
        assert (event_["kind"], event_["amount_usd"]) == ("deposit", "1000000.00")
        assert client.get(f"{URL}/{key}/activity", params={"kind": "order"}).json()["items"] == []

    def test_a_look_is_recorded_and_a_refused_one_is_not(self, as_role: AsRole, practice: list[int]) -> None:
        key = add(as_role("advisor")).json()["client_id"]
        assert as_role("other_advisor").get(f"{URL}/{key}").status_code == 404
        assert as_role("advisor").get(f"{URL}/{key}").status_code == 200
        with transaction() as session:
            trail = read_trail(session, subject="client", subject_id=key)
        assert [(row.action, row.actor) for row in trail if row.action == "look"] == [("look", "advisor@firm.example")]
