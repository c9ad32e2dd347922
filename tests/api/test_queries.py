"""Nothing asks once per row: every reading route costs as many statements with one client's rows as with eight."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from api.app import create_app
from auth.tokens import make_access_token
from benchmarks.firm import found_firm
from database.session import transaction
from tests.api.counting import counted

STATEMENTS_MAX = 40  # of the whole chain behind one recommendation
CLIENTS = 8
# What stands in a path, in the firm that is made here.
PARAMETERS = {
    "symbol": "S001",
    "strategy": "momentum_largecap",
    "name": "momentum_largecap",
    "session_on": "2017-06-30",
    "version": "1",
}
APPLICATION = create_app()
PATHS = [
    (path, methods["get"])
    for path, methods in APPLICATION.openapi()["paths"].items()
    if "get" in methods and path.startswith("/api/")
]


@dataclass(frozen=True)
class Callers:
    """Somebody who sees one client of the firm, and somebody who sees all."""

    few: TestClient
    many: TestClient


@pytest.fixture(scope="module")
def callers(committed_database: str) -> Iterator[Callers]:
    """A firm in which each advisor has one client."""
    with transaction() as session:
        users = found_firm(session, clients=CLIENTS, advisors=CLIENTS).users
    made = []
    with TestClient(APPLICATION, raise_server_exceptions=False):
        for email, role in (("advisor1@firm.example", "advisor"), ("admin@firm.example", "admin")):
            token = make_access_token(user_id=users[email], email=email, role=role, epoch=1, sign_in_id=None)
            client = TestClient(APPLICATION, raise_server_exceptions=False)
            client.headers["Authorization"] = f"Bearer {token}"
            made.append(client)
        yield Callers(*made)


def filled(path: str, number: int) -> str:
    """The path with its parameters put in."""
    for name, value in PARAMETERS.items():
        path = path.replace(f"{{{name}}}", value)
    return "/".join(str(number) if part.startswith("{") else part for part in path.split("/"))


def statements(client: TestClient, path: str, **query: Any) -> tuple[int, list[str]]:
    """Status and statements of one call, after one that filled the caches of this process."""
    client.get(path, params=query)
    with counted() as found:
        answer = client.get(path, params=query)
    return answer.status_code, list(found)


def is_finite(operation: dict[str, Any]) -> bool:
    """A stream has no end to wait for."""
    return "text/event-stream" not in operation["responses"].get("200", {}).get("content", {})


READS = [path for path, operation in PATHS if is_finite(operation)]


class TestStatements:
    @pytest.mark.parametrize("path", READS)
    def test_as_many_for_one_client_as_for_all(self, callers: Callers, path: str) -> None:
        # The first advisor's one client is the last.
        one, few = statements(callers.few, filled(path, CLIENTS))
        all_of_them, many = statements(callers.many, filled(path, CLIENTS))
        assert max(one, all_of_them) < 500
        if one == all_of_them:
            assert len(many) <= len(few), "\n".join(many)
        assert len(many) <= STATEMENTS_MAX, "\n".join(many)

    @pytest.mark.parametrize("path", [path for path, operation in PATHS if "'limit'" in str(operation)])
    def test_as_many_for_a_long_page_as_for_a_short_one(self, callers: Callers, path: str) -> None:
        _, few = statements(callers.many, filled(path, CLIENTS), limit=1)
        _, many = statements(callers.many, filled(path, CLIENTS), limit=100)
        assert len(many) <= len(few), "\n".join(many)

    def test_the_count_hears_what_the_api_asks(self, callers: Callers) -> None:
        with counted() as found, transaction() as session:
            session.execute(text("select 1"))  # the jobs' connections are not the API's
        assert found == []
        assert len(statements(callers.many, "/api/v1/clients")[1]) >= 2
