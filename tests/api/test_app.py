"""The frame of every answer: numbers, headers, addresses, the log, faults, a database that goes away."""

import json
import os
from collections.abc import Callable, Iterator

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text

from api.app import create_app
from api.deps import public
from core.config import get_settings
from core.log import current_address, get_logger
from database.session import limited_engine, transaction
from tests.api.conftest import Firm

CANARY = "canary-7f3c9a51"
router = APIRouter()


@router.get("/fault", dependencies=[public()])
def fail() -> None:
    """Break, with a secret in hand."""
    password = CANARY
    raise RuntimeError(f"no way in with password={password} at postgresql://acis:{password}@db/acis")


@router.get("/address", dependencies=[public()])
def tell_address() -> str | None:
    """Whom the log takes the caller for."""
    return current_address()


@router.get("/log", dependencies=[public()])
def write_log() -> None:
    """Log what must not be read."""
    get_logger("test").error(
        "sign-in failed",
        body={"user": {"password": CANARY, "otp": CANARY, "names": [{"api_key": CANARY}]}},
        url=f"redis://:{CANARY}@cache:6379/0",
        header=f"Bearer {CANARY}",
        text=f"token={CANARY}; refresh_token: {CANARY}",
        key=f"acis_{CANARY}_{CANARY}",
    )


@pytest.fixture
def application(firm: Firm) -> FastAPI:
    made = create_app()
    made.include_router(router)
    return made


class Logged:
    """What went to stderr so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys, self._read = capsys, ""

    def text(self) -> str:
        self._read += self._capsys.readouterr().err
        return self._read

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Logged]:
    """What is logged, as JSON, from INFO on."""
    monkeypatch.setenv("ACIS_LOG_JSON", "true")
    monkeypatch.setenv("ACIS_LOG_LEVEL", "INFO")
    monkeypatch.setenv("ACIS_TOKEN_SECRETS", f"{CANARY}-token-secret-of-enough-characters")
    get_settings.cache_clear()
    yield Logged(capsys)
    get_settings.cache_clear()


@pytest.fixture
def client(application: FastAPI, logged: Logged) -> Iterator[TestClient]:
    with TestClient(application, raise_server_exceptions=False) as made:
        yield made


class TestFrame:
    def test_every_answer_carries_a_number_and_what_protects(self, client: TestClient) -> None:
        for path in ("/health/live", "/api/v1/clients", "/nowhere", "/fault"):
            headers = client.get(path).headers
            assert len(headers["x-request-id"]) == 16
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["cache-control"] == "no-store"
            assert "access-control-allow-origin" not in headers
            assert "server" not in headers

    @pytest.mark.parametrize(
        ("sent", "kept"),
        [("web-1234-abcd", True), ("short", False), ("x" * 65, False), ("bad number\t1", False), ("<script>", False)],
    )
    def test_a_sane_number_is_kept(self, client: TestClient, sent: str, kept: bool) -> None:
        assert (client.get("/health/live", headers={"x-request-id": sent}).headers["x-request-id"] == sent) is kept

    def test_problem_carries_the_number(self, client: TestClient) -> None:
        answer = client.get("/nowhere", headers={"x-request-id": "number-of-mine"})
        assert answer.headers["content-type"] == "application/problem+json"
        body = answer.json()
        assert (body["status"], body["code"], body["request_id"]) == (404, "not_found", "number-of-mine")

    def test_wrong_method(self, client: TestClient) -> None:
        answer = client.delete("/api/v1/version")
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


class TestAddress:
    @pytest.mark.parametrize(
        ("trusted", "forwarded", "address"),
        [
            ("", "203.0.113.7", "10.0.0.1"),
            ("192.0.2.0/24", "203.0.113.7", "10.0.0.1"),
            ("10.0.0.0/8", "203.0.113.7", "203.0.113.7"),
            ("10.0.0.0/8", "203.0.113.7, 10.0.0.2", "203.0.113.7"),
            ("10.0.0.0/8", "198.51.100.9, 203.0.113.7", "203.0.113.7"),
            ("10.0.0.0/8", "not an address", "10.0.0.1"),
        ],
    )
    def test_forwarded_counts_behind_a_trusted_proxy_only(
        self, firm: Firm, monkeypatch: pytest.MonkeyPatch, trusted: str, forwarded: str, address: str
    ) -> None:
        monkeypatch.setenv("ACIS_TRUSTED_PROXIES", trusted)
        get_settings.cache_clear()
        application = create_app()
        application.include_router(router)
        answer = TestClient(application, client=("10.0.0.1", 1)).get("/address", headers={"x-forwarded-for": forwarded})
        get_settings.cache_clear()
        assert answer.json() == address


class TestLog:
    def test_one_line_an_answer_with_who_and_what(self, client: TestClient, firm: Firm, logged: Logged) -> None:
        client.get(
            "/api/v1/clients?search=Smith",
            headers={"Authorization": f"Bearer {firm.token('advisor')}", "x-request-id": "number-of-mine"},
        )
        (line,) = [line for line in logged.lines() if line["event"] == "answered"]
        assert line["request_id"] == "number-of-mine"
        assert line["user_id"] == firm.users["advisor"]
        assert (line["method"], line["route"], line["status"]) == ("GET", "/api/v1/clients", 200)
        assert "Smith" not in logged.text()

    def test_the_next_request_has_no_trace_of_the_last(self, client: TestClient, firm: Firm, logged: Logged) -> None:
        client.get("/api/v1/clients", headers={"Authorization": f"Bearer {firm.token('advisor')}"})
        client.get("/nowhere")
        assert "user_id" not in logged.lines()[-1]

    def test_no_secret_is_ever_written(self, client: TestClient, logged: Logged) -> None:
        headers = {"Authorization": f"Bearer {CANARY}", "Cookie": f"session={CANARY}", "x-csrf-token": CANARY}
        told = [
            client.get("/log", headers=headers),
            client.get("/fault", headers=headers),
            client.get("/api/v1/clients", headers=headers),
            client.post("/api/v1/auth/token", json={"email": "a@b.example", "password": CANARY, "otp": CANARY}),
            client.post("/api/v1/auth/token", auth=("a@b.example", CANARY)),
        ]
        assert len(logged.lines()) >= 6
        assert CANARY not in logged.text()
        assert not any(CANARY in answer.text for answer in told)
        get_logger("test").warning("settings", all=os.environ["ACIS_TOKEN_SECRETS"])
        assert CANARY not in logged.text()


class TestFaults:
    def test_a_fault_is_a_number_outside_and_a_trace_inside(self, client: TestClient, logged: Logged) -> None:
        answer = client.get("/fault")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert "Traceback" not in answer.text
        (line,) = [line for line in logged.lines() if line["event"] == "fault"]
        assert "RuntimeError" in str(line["exception"])
        assert line["request_id"] == answer.json()["request_id"]


class TestDatabaseAway:
    def test_a_restart_costs_nobody_an_answer(self, as_role: Callable[[str], TestClient], firm: Firm) -> None:
        """Connections that the server has closed are replaced before anybody's work begins."""
        client = as_role("advisor")
        assert client.get("/api/v1/clients").status_code == 200
        with transaction() as session:
            ended = session.scalar(
                text(
                    "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                    " where datname = current_database() and usename = 'acis_api'"
                )
            )
        assert ended
        assert client.get("/api/v1/clients").status_code == 200

    def test_a_full_pool_is_told_and_recovers(
        self, firm: Firm, monkeypatch: pytest.MonkeyPatch, as_role: Callable[[str], TestClient]
    ) -> None:
        engine = limited_engine()
        monkeypatch.setattr(engine.pool, "_timeout", 0.1)
        held = [engine.connect() for _ in range(get_settings().api_connections)]
        answer = as_role("advisor").get("/api/v1/clients")
        assert (answer.status_code, answer.json()["code"]) == (503, "unreachable")
        assert int(answer.headers["retry-after"]) > 0
        for connection in held:
            connection.close()
        assert as_role("advisor").get("/api/v1/clients").status_code == 200
