"""Every route of the OpenAPI document by every role, on one's own and on the other advisor's clients.

What another advisor's client is made of carries one odd word in each text and numbers that nobody else has: a single
byte of it in an answer is found.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from api.app import create_app
from api.deps import PUBLIC
from api.openapi import declared_permission, routes_of
from auth.roles import PERMISSIONS
from core.clock import now
from core.config import get_settings
from database.queries import runs
from database.session import transaction
from database.tables.households import AdvisorAssignment
from database.tables.sign_ins import SignIn
from tests.api.conftest import Firm
from tests.api.requests import Operation, operations
from tests.factories.market import create_market
from tests.factories.practices import BEFORE, SESSION, Practice, create_practice

AsRole = Callable[[str], TestClient]
APPLICATION = create_app()
OPERATIONS = list(operations(APPLICATION.openapi()))
# Reads first: what is read of one's own must still stand as it was made.
BY_NAME = {str(operation): operation for operation in sorted(OPERATIONS, key=lambda one: one.method != "get")}
ROLES = ("admin", "advisor", "analyst", "viewer", "service")
# Who is shown some rows or none; the others see the firm.
NOT_ALL = ("advisor", "viewer", "analyst")
FOREIGN_WORD = "Zyxwvut"
FOREIGN_FROM = 7_700_000_000
FOREIGN_BYTES = re.compile(rf"{FOREIGN_WORD}|\b77000000\d\d\b|Client of other_advisor", re.IGNORECASE)

# Names in paths, fields of bodies and queries that lead to a client: the column whose number they carry.
CLIENT_BOUND = {
    "account_id": "account_id",
    "client_id": "client_id",
    "household_id": "household_id",
    "recommendation_id": "recommendation_id",
    "order_id": "order_id",
    "fill_id": "fill_id",
    "job_id": "job_id",
    "report_id": "report_id",
    "holding_import_id": "holding_import_id",
    "import_id": "holding_import_id",
    "target_id": "target_id",
    "lot_id": "lot_id",
    "entry_id": "entry_id",
    "mandate_id": "mandate_id",
    "kill_switch_id": "kill_switch_id",
    "switch_id": "kill_switch_id",
    "sign_in_id": "sign_in_id",
}
LISTS_OF = {
    "account_ids": "account_id",
    "client_ids": "client_id",
    "recommendation_ids": "recommendation_id",
    "order_ids": "order_id",
    "job_ids": "job_id",
}
# Names in paths that tell of nobody's client.
NEUTRAL = {
    "session_on": str(BEFORE),
    "symbol": "S000",
    "strategy": "momentum_largecap",
    "version": 1,
    "kind": "ticker",
    "value": "S000",
    "source": "house",
    "user_id": 1,
    "advisor_id": 1,
    "api_key_id": 1,
    "backtest_id": 1,
    "batch_id": 1,
    "alert_id": 1,
    "scope": "everything",
}
NAMES = {
    "models": "screener-momentum_largecap",
    "schedules": "nightly",
    "strategies": "momentum_largecap",
}
PAYLOADS = ("' or '1'='1' --", "../../../../etc/passwd", "<script>alert(1)</script>", "=HYPERLINK(1)", "%")
# What nobody may set by sending it along.
MASS_ASSIGNED = {
    "is_admin": True,
    "permissions": ["admin.write"],
    "created_by": 1,
    "user_id": 1,
    "advisor_id": 1,
    "epoch": 99,
    "decided_by": "admin@firm.example",
    "initial_cash_usd": "1e12",
}
# What a route asks for besides, by what the request is about.
ASKED_INSIDE = {"kill_switches.firm"}
# These end the sign-ins that this module works with, or wait for ever.
NOT_CALLED_SIGNED_IN = re.compile(r"/api/v1/auth/(sign-out|password|totp|refresh|token|sign-in$)")


@pytest.fixture(scope="module")
def practices(firm: Firm) -> dict[str, Practice]:
    """The advisor's and the other advisor's, whole; the viewer looks after the advisor's client."""
    made = {}
    with transaction() as session:
        create_market(session, instruments=3, sessions=80, last_on=SESSION)
        night = runs.claim_run(session, job="nightly", as_of=SESSION, book="paper", code_commit="")
        runs.finish_run(session, run_id=night.run_id, steps={}, result={"clients": [{"client": FOREIGN_WORD}]})
        for person, word, first in (("advisor", "Ownword", None), ("other_advisor", FOREIGN_WORD, FOREIGN_FROM)):
            made[person] = create_practice(
                session, advisor_id=firm.users[person], word=word, symbol="S000", numbers_from=first
            )
            sign_in = SignIn(
                sign_in_id=uuid4(), user_id=firm.users[person], user_agent=word, address=word, expires_at=now()
            )
            session.add(sign_in)
            made[person].ids["sign_in_id"] = sign_in.sign_in_id
        client_id = made["advisor"].ids["client_id"]
        session.add(AdvisorAssignment(advisor_id=firm.users["viewer"], client_id=client_id, start_on=SESSION))
    return made


@pytest.fixture(scope="module")
def unlimited() -> Iterator[None]:
    """Nobody asks too often here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACIS_REQUESTS_PER_MINUTE", "1000000")
        get_settings.cache_clear()
        yield
    get_settings.cache_clear()


@pytest.fixture
def doors(unlimited: None, practices: dict[str, Practice], as_role: AsRole) -> dict[str, TestClient]:
    """A client of the service for each role."""
    return {role: as_role(role) for role in ROLES}


def parameters(operation: Operation, practice: Practice) -> dict[str, Any]:
    """The path's values, of this practice where they are somebody's."""
    found = {}
    for name in operation.path_parameters:
        if name in CLIENT_BOUND:
            found[name] = practice.ids[CLIENT_BOUND[name]]
        elif name == "name":
            found[name] = NAMES[operation.path.split("/")[3]]
        else:
            found[name] = NEUTRAL[name]
    return found


def numbers(practice: Practice) -> dict[str, Any]:
    """Values for fields of bodies and queries, of this practice."""
    return {
        **{name: practice.ids[column] for name, column in CLIENT_BOUND.items()},
        **{name: [practice.ids[column]] for name, column in LISTS_OF.items()},
    }


def send(client: TestClient, request: dict[str, Any]) -> Any:
    return client.request(**request)


def foreign_bytes(answer: Any, asked: Mapping[str, Any]) -> list[str]:
    """What of the other advisor's clients the answer holds, but for the numbers that were asked for."""
    said = answer.text + str(dict(answer.headers))
    for value in asked.values():
        said = said.replace(str(value), "")
    return FOREIGN_BYTES.findall(said)


def is_bound(operation: Operation) -> bool:
    return any(name in CLIENT_BOUND for name in operation.path_parameters)


def ends(operation: Operation) -> bool:
    """Whether it may be called and waited for, and the caller stays signed in."""
    return not operation.is_stream and not NOT_CALLED_SIGNED_IN.match(operation.path)


def bound_fields(operation: Operation) -> list[str]:
    """Fields of its body that carry the number of somebody's client."""
    return sorted(operation.body_properties() & {*CLIENT_BOUND, *LISTS_OF})


def texts_of(operation: Operation) -> tuple[list[str], list[str]]:
    """Fields of its query and names in its path that take text."""
    in_path = [key for key in operation.path_parameters if key not in CLIENT_BOUND]
    return (
        [key for key, schema in operation.query_parameters.items() if is_text(schema)],
        [key for key in in_path if isinstance(NEUTRAL.get(key, ""), str)],
    )


def is_text(schema: Mapping[str, Any]) -> bool:
    return any(one.get("type") == "string" for one in (schema, *schema.get("anyOf", ())))


def routes(chosen: Callable[[Operation], bool] = lambda operation: True) -> list[str]:
    """The routes that ask who calls, of which `chosen` holds."""
    return [name for name, one in BY_NAME.items() if one.permission != PUBLIC and chosen(one)]


def test_every_route_declares_one_permission_and_each_is_needed() -> None:
    declared = {route.name: declared_permission(route) for route in routes_of(APPLICATION)}
    assert [name for name, permission in declared.items() if permission is None] == []
    assert set(declared.values()) - {PUBLIC} <= set(PERMISSIONS)
    assert set(PERMISSIONS) - set(declared.values()) == ASKED_INSIDE, "permissions that no route needs"


def test_the_words_are_found_where_they_may_be_read(
    unlimited: None, practices: dict[str, Practice], as_role: AsRole
) -> None:
    """Else that they are nowhere would prove nothing."""
    owner, ids = as_role("other_advisor"), practices["other_advisor"].ids
    for path in ("clients", f"clients/{ids['client_id']}", f"jobs/{ids['job_id']}", "reports", "households"):
        answer = owner.get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.text
        assert foreign_bytes(answer, {}), path
    assert foreign_bytes(owner.get("/api/v1/clients", params={"q": FOREIGN_WORD}), {"q": FOREIGN_WORD})


def test_every_name_in_a_path_is_known() -> None:
    unknown = {
        f"{name} in {operation}"
        for operation in OPERATIONS
        for name in operation.path_parameters
        if name not in CLIENT_BOUND
        and name not in NEUTRAL
        and not (name == "name" and operation.path.split("/")[3] in NAMES)
    }
    assert unknown == set(), "say in this file whether it leads to a client (CLIENT_BOUND) or to nobody's (NEUTRAL)"


class TestRoutes:
    @pytest.mark.parametrize("name", routes())
    def test_stranger_and_roles_without_the_right(
        self, doors: dict[str, TestClient], service: TestClient, practices: dict[str, Practice], name: str
    ) -> None:
        operation = BY_NAME[name]
        request = operation.request(parameters(operation, practices["other_advisor"]), numbers(practices["advisor"]))
        answer = send(service, request)
        assert answer.status_code == 401, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        refused = {role for role in ROLES if role not in PERMISSIONS[operation.permission]}
        got = {role: send(doors[role], request).status_code for role in refused}
        assert got == dict.fromkeys(refused, 403)

    @pytest.mark.parametrize("name", routes(is_bound))
    def test_foreign_rows_are_not_there(
        self, doors: dict[str, TestClient], practices: dict[str, Practice], name: str
    ) -> None:
        operation = BY_NAME[name]
        asked = parameters(operation, practices["other_advisor"])
        for role in set(NOT_ALL) & PERMISSIONS[operation.permission]:
            answer = send(doors[role], operation.request(asked, numbers(practices["advisor"])))
            assert answer.status_code == 404, (role, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert foreign_bytes(answer, asked) == [], role

    @pytest.mark.parametrize("name", routes(lambda one: ends(one) and one.method == "get" and is_bound(one)))
    def test_each_look_at_a_client_leaves_a_trace(
        self, doors: dict[str, TestClient], practices: dict[str, Practice], monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        operation = BY_NAME[name]
        monkeypatch.setattr("auth.audit.LOOK_LASTS", timedelta(0))
        before = looks()
        answer = send(doors["advisor"], operation.request(parameters(operation, practices["advisor"]), {}))
        assert answer.status_code == 200, answer.text
        assert looks() > before

    @pytest.mark.parametrize("name", routes(ends))
    def test_own_answers_hold_nothing_foreign(
        self, doors: dict[str, TestClient], practices: dict[str, Practice], name: str
    ) -> None:
        operation = BY_NAME[name]
        asked = parameters(operation, practices["advisor"])
        for role in set(NOT_ALL) & PERMISSIONS[operation.permission]:
            for query in [{}, *(queries(operation, practices["other_advisor"]) if role == "advisor" else ())]:
                answer = send(doors[role], operation.request(asked, numbers(practices["advisor"]), **query))
                assert answer.status_code < 500, (role, query, answer.text)
                assert foreign_bytes(answer, query) == [], (role, query, answer.text)
                if operation.method == "get" and is_bound(operation) and not query and role == "advisor":
                    assert answer.status_code in (200, 304, 409), (name, answer.text)

    @pytest.mark.parametrize("name", routes(lambda one: one.method == "get" and "sort" in one.query_parameters))
    def test_no_order_brings_foreign_rows_up(
        self, doors: dict[str, TestClient], practices: dict[str, Practice], name: str
    ) -> None:
        operation = BY_NAME[name]
        role = next((one for one in NOT_ALL if one in PERMISSIONS[operation.permission]), "admin")
        asked = parameters(operation, practices["advisor"])
        for sort in sorts_of(doors[role], operation, asked):
            answer = send(doors[role], operation.request(asked, {}, sort=sort, limit=100))
            assert answer.status_code == 200, (sort, answer.text)
            if role != "admin":
                assert foreign_bytes(answer, {}) == [], sort

    @pytest.mark.parametrize("name", routes(lambda one: ends(one) and bool(bound_fields(one))))
    def test_foreign_numbers_in_a_body_reach_nothing(
        self, doors: dict[str, TestClient], practices: dict[str, Practice], name: str
    ) -> None:
        operation = BY_NAME[name]
        foreign = numbers(practices["other_advisor"])
        asked = parameters(operation, practices["advisor"])
        for role in set(NOT_ALL) & PERMISSIONS[operation.permission]:
            for field in bound_fields(operation):
                values = {**numbers(practices["advisor"]), field: foreign[field]}
                answer = send(doors[role], operation.request(asked, values))
                assert foreign_bytes(answer, {field: practices["other_advisor"].ids[column_of(field)]}) == []
                if field in LISTS_OF:
                    # Many at once are answered one by one: each must be told as not there.
                    assert answer.status_code in (200, 202, 207, 404, 409, 422), (role, field, answer.text)
                else:
                    assert answer.status_code in (404, 422), (role, field, answer.text)

    @pytest.mark.parametrize("name", routes(lambda one: ends(one) and one.method == "get" and any(texts_of(one))))
    def test_hostile_text_stays_text(
        self, doors: dict[str, TestClient], practices: dict[str, Practice], name: str
    ) -> None:
        operation = BY_NAME[name]
        texts, words = texts_of(operation)
        asked = parameters(operation, practices["advisor"])
        role = next((one for one in NOT_ALL if one in PERMISSIONS[operation.permission]), "admin")
        for payload in PAYLOADS:
            calls = [(asked, {key: payload}) for key in texts]
            calls += [({**asked, key: quote(payload, safe="")}, {}) for key in words]
            for path, query in calls:
                answer = send(doors[role], operation.request(path, {}, **query))
                assert answer.status_code < 500, (payload, answer.text)
                assert "root:" not in answer.text
                assert "html" not in answer.headers.get("content-type", "")
                if role != "admin":
                    assert foreign_bytes(answer, {}) == [], payload

    @pytest.mark.parametrize("name", routes(lambda one: bool(one.body_properties())))
    def test_body_with_a_field_too_many_is_refused(
        self, doors: dict[str, TestClient], practices: dict[str, Practice], name: str
    ) -> None:
        operation = BY_NAME[name]
        role = next(one for one in ("advisor", "analyst", "admin") if one in PERMISSIONS[operation.permission])
        request = operation.request(parameters(operation, practices["advisor"]), numbers(practices["advisor"]))
        for field, value in MASS_ASSIGNED.items():
            if field not in operation.body_properties():
                answer = send(doors[role], {**request, "json": {**request["json"], field: value}})
                assert answer.status_code == 422, (field, answer.text)
                assert field in answer.text


def looks() -> int:
    with transaction() as session:
        return session.scalar(text("select count(*) from audit where action = 'look'")) or 0


def column_of(field: str) -> str:
    return CLIENT_BOUND.get(field) or LISTS_OF[field]


def queries(operation: Operation, foreign: Practice) -> Iterator[dict[str, Any]]:
    """Each search, and each filter that could bring foreign rows up."""
    known = operation.query_parameters if operation.method == "get" else {}
    for field in {"q", "search", "name", "actor", "advisor"} & set(known):
        yield {field: FOREIGN_WORD[:5]}
    for field in set(CLIENT_BOUND) & set(known):
        yield {field: foreign.ids[CLIENT_BOUND[field]]}


def sorts_of(client: TestClient, operation: Operation, asked: Mapping[str, Any]) -> list[str]:
    """What a list may be sorted by: told by the document, or by the refusal of another word."""
    told = operation.query_parameters["sort"].get("enum")
    if told:
        return list(told)
    refusal = send(client, operation.request(asked, {}, sort="nothing")).json()
    found = re.findall(r"\w+", refusal["detail"].partition("is not one of ")[2].partition(", or one of")[0])
    assert found, refusal
    return [*found, *(f"-{word}" for word in found)]


class TestAfterwards:
    def test_nothing_foreign_was_changed(self, practices: dict[str, Practice]) -> None:
        """Runs last: each foreign row still says what it said, and nobody new looks after the client."""
        foreign = practices["other_advisor"]
        with transaction() as session:
            rows = session.execute(
                text("""
                    select c.name, c.archived_at, a.status, a.name as account, o.state, r.status as decision,
                           i.status as import, j.status as job, h.name as household,
                           (select count(*) from advisor_assignments d where d.client_id = c.client_id) as advisors,
                           (select count(*) from orders where account_id = a.account_id) as orders,
                           (select count(*) from journal_entries where account_id = a.account_id) as entries,
                           (select count(*) from mandates where account_id = a.account_id) as mandates,
                           (select count(*) from jobs where account_id = a.account_id) as jobs
                    from clients c join households h using (household_id) join accounts a using (client_id)
                    join orders o using (account_id) join recommendations r using (account_id)
                    join holding_imports i using (account_id) join jobs j using (account_id)
                    where c.client_id = :key
                """),
                {"key": foreign.ids["client_id"]},
            ).one()
        assert tuple(rows) == (
            f"{FOREIGN_WORD} Person",
            None,
            "active",
            f"{FOREIGN_WORD} account",
            "filled",
            "approved",
            "previewed",
            "succeeded",
            f"{FOREIGN_WORD} family",
            1,
            1,
            1,
            1,
            1,
        )
