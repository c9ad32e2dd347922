"""Every operation of the OpenAPI document, called with what its schema allows and with what it forbids.

No call may end in a fault of ours or in an answer that the document does not tell of. In process, against a real
database with a small firm; the same calls on every run.
"""

from collections.abc import Iterator
from contextvars import Context
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import text

from api.app import create_app
from auth.tokens import make_access_token
from benchmarks.firm import found_firm
from database.session import transaction

pytestmark = pytest.mark.slow

CALLS_MIN = 5_000
ROLES = {"admin": "admin@firm.example", "advisor": "advisor1@firm.example"}
EXAMPLES = {GenerationMode.POSITIVE: 10, GenerationMode.NEGATIVE: 5}
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
# Values that are there, so that not every call with a number ends at "there is no such".
THERE = {"symbol": "S001", "strategy": "momentum_largecap", "name": "momentum_largecap", "session_on": "2017-06-30"}

application = create_app()
document: dict[str, Any] = application.openapi()
schema = schemathesis.openapi.from_dict(document)
schema.app = application
made = {"calls": 0}


def is_stream(operation: dict[str, Any]) -> bool:
    """A stream has no end to wait for."""
    return "text/event-stream" in operation["responses"].get("200", {}).get("content", {})


OPERATIONS = [
    (path, method)
    for path, methods in document["paths"].items()
    for method in methods
    if not is_stream(methods[method])
]


@pytest.fixture(scope="module")
def users(committed_database: str) -> dict[str, int]:
    """A small firm with a year behind it: its people by role."""
    with transaction() as session:
        found = found_firm(session, clients=4, advisors=2).users
    return {role: found[email] for role, email in ROLES.items()}


@pytest.fixture(scope="module")
def client(users: dict[str, int]) -> Iterator[asgi.ASGIClient]:
    """The service, called in process."""
    with asgi.get_client(cast(Any, application)) as opened:
        yield opened
    asgi.shutdown_lifespans()


def sign_in(user_id: int, role: str) -> str:
    """A token of somebody whom earlier calls may have disabled, signed out or given another role."""
    with transaction() as session:
        epoch = session.scalar(
            text(
                "update users set disabled_at = null, must_change_password = false, role = :role"
                " where user_id = :user_id returning epoch"
            ),
            {"user_id": user_id, "role": role},
        )
    # The service's threads know nothing of the clock that the test holds: neither may the token.
    return Context().run(make_access_token, user_id=user_id, email=ROLES[role], role=role, epoch=epoch, sign_in_id=None)


def call_all(client: asgi.ASGIClient, operation: Any, mode: GenerationMode, token: str) -> None:
    """Call one operation with made-up requests, half of them about what is there."""

    @settings(
        max_examples=EXAMPLES[mode],
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), number=st.integers(1, 4), there=st.booleans())
    def call(case: Any, number: int, there: bool) -> None:
        if there and mode is GenerationMode.POSITIVE:
            for name in case.path_parameters or ():
                case.path_parameters[name] = THERE.get(name, number)
        answer = case.call(session=client, headers={"Authorization": f"Bearer {token}"})
        made["calls"] += 1
        case.validate_response(answer, checks=CHECKS)

    call()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda word: str(word))
class TestEveryOperation:
    def test_keeps_its_word(
        self, client: asgi.ASGIClient, users: dict[str, int], path: str, method: str, role: str
    ) -> None:
        operation = schema[path][method.upper()]
        for mode in EXAMPLES:
            has_what_to_break = operation.body or operation.query or operation.path_parameters or operation.headers
            if mode is GenerationMode.POSITIVE or has_what_to_break:
                call_all(client, operation, mode, sign_in(users[role], role))


class TestWhole:
    def test_enough_was_asked(self) -> None:
        if made["calls"] == 0:
            pytest.skip("counts what the class above called; it was not run here")
        assert made["calls"] >= CALLS_MIN
