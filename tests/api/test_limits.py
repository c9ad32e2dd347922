"""Requests that are too much: refused early, cheaply, and without harm to others."""

import json
import socket
import time
from collections.abc import Iterator

import httpx2 as httpx
import psutil
import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from api import protocol
from api.app import create_app
from api.deps import public
from api.limits import BODY_BYTES_MAX, JSON_DEPTH_MAX, body_bytes_max, is_too_deep
from tests.api.conftest import Firm
from tests.api.server import served

router = APIRouter(dependencies=[public()])
MEGABYTES = 1_000_000


class Anything(BaseModel):
    """Whatever JSON holds."""

    content: object


@router.post("/small")
def take_small(anything: Anything) -> int:
    """What came, in length."""
    return len(json.dumps(anything.content))


@router.post("/large", openapi_extra=body_bytes_max(5 * MEGABYTES))
def take_large(anything: Anything) -> int:
    """What came, in length."""
    return len(json.dumps(anything.content))


@pytest.fixture(scope="module")
def paths(firm: Firm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    application = create_app()
    application.include_router(router)
    with served(application, tmp_path_factory.mktemp("s")) as path:
        yield path


@pytest.fixture
def client(paths: str) -> Iterator[httpx.Client]:
    with httpx.Client(transport=httpx.HTTPTransport(uds=paths), base_url="http://acis", timeout=30) as made:
        yield made


def of_length(count: int) -> bytes:
    """JSON of so many bytes."""
    return b'{"content": "' + b"x" * (count - 15) + b'"}'


class TestBody:
    def test_usual_limit(self, client: httpx.Client) -> None:
        json_type = {"content-type": "application/json"}
        assert client.post("/small", content=of_length(BODY_BYTES_MAX), headers=json_type).status_code == 200
        answer = client.post("/small", content=of_length(BODY_BYTES_MAX + 1), headers=json_type)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert answer.headers["content-type"] == "application/problem+json"

    def test_a_route_may_take_more(self, client: httpx.Client) -> None:
        json_type = {"content-type": "application/json"}
        assert client.post("/large", content=of_length(4 * MEGABYTES), headers=json_type).status_code == 200
        assert client.post("/large", content=of_length(6 * MEGABYTES), headers=json_type).status_code == 413

    def test_a_hundred_megabytes_cost_no_memory(self, client: httpx.Client) -> None:
        def stream() -> Iterator[bytes]:
            for _ in range(100):
                yield b"x" * MEGABYTES

        before = psutil.Process().memory_info().rss
        answer = client.post("/small", content=stream(), headers={"content-type": "application/json"})
        assert answer.status_code == 413
        assert psutil.Process().memory_info().rss - before < 50 * MEGABYTES
        assert client.get("/health/live").status_code == 200

    @pytest.mark.parametrize("body", [b'{"content": ', b"\xff\xfe", b"[" * 200, b'{"content": ' + b"[" * 100_000])
    def test_what_is_no_json_is_the_callers_fault(self, client: httpx.Client, body: bytes) -> None:
        answer = client.post("/small", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (422, "input"), answer.text

    @pytest.mark.parametrize(("depth", "status"), [(JSON_DEPTH_MAX - 1, 200), (JSON_DEPTH_MAX, 422), (100_000, 422)])
    def test_depth(self, client: httpx.Client, depth: int, status: int) -> None:
        body = b'{"content": ' + b"[" * depth + b"]" * depth + b"}"
        assert client.post("/small", content=body, headers={"content-type": "application/json"}).status_code == status


NESTED = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(alphabet='[]{}"\\a'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[]{}"\\b'), inner, max_size=3),
    max_leaves=60,
)


def depth_of(value: object) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 0


class TestIsTooDeep:
    @given(NESTED, st.integers(0, 40))
    def test_tells_depth_from_breadth_and_text(self, value: object, wrapped: int) -> None:
        for _ in range(wrapped):
            value = [value]
        assert is_too_deep(json.dumps(value).encode()) is (depth_of(value) > JSON_DEPTH_MAX)


class TestTarget:
    @pytest.mark.parametrize(
        ("path", "status"),
        [
            ("/health/live?a=" + "x" * 9_000, 422),
            ("/health/live?" + "&".join(f"p{n}=1" for n in range(1_000)), 422),
            ("/health/live?search=%00", 422),
            ("/health/%00", 422),
            ("/health/live?a=1&b=2", 200),
        ],
    )
    def test_address(self, service: TestClient, path: str, status: int) -> None:
        assert service.get(path).status_code == status

    def test_headers(self, service: TestClient) -> None:
        assert service.get("/health/live", headers={"x-long": "x" * 40_000}).status_code == 431
        assert service.get("/health/live", headers={f"x-{n}": "1" for n in range(200)}).status_code == 431

    @pytest.mark.parametrize("query", ["limit=100000", "limit=0", "limit=-1", "search=" + "%25" * 101, "sort=nothing"])
    def test_pages(self, service: TestClient, firm: Firm, query: str) -> None:
        signed_in = {"Authorization": f"Bearer {firm.token('admin')}"}
        assert service.get(f"/api/v1/clients?{query}", headers=signed_in).status_code == 422

    def test_a_search_is_no_pattern(self, service: TestClient, firm: Firm) -> None:
        """What a pattern language would choke on, or find everything with, is only text here."""
        signed_in = {"Authorization": f"Bearer {firm.token('admin')}"}
        for search in ("(a+)+$", "%", "__", "\\", "%_%_%_%_%_%_%_%_%_%_%_%"):
            found = service.get("/api/v1/clients", params={"search": search}, headers=signed_in)
            assert (found.status_code, found.json()["items"]) == (200, []), search


class TestProtocol:
    def test_a_slow_head_is_hung_up_on(self, paths: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(protocol, "HEAD_SECONDS_MAX", 0.3)
        with socket.socket(socket.AF_UNIX) as slow:
            slow.settimeout(10)
            slow.connect(paths)
            slow.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n")
            assert slow.recv(100) == b""

    def test_a_kept_connection_is_watched_too(self, paths: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(protocol, "HEAD_SECONDS_MAX", 0.3)
        with socket.socket(socket.AF_UNIX) as slow:
            slow.settimeout(10)
            slow.connect(paths)
            slow.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"200 OK" in slow.recv(4_000)
            slow.sendall(b"GET /hea")
            assert slow.recv(100) == b""

    def test_a_head_without_end_is_refused(self, paths: str) -> None:
        with socket.socket(socket.AF_UNIX) as endless:
            endless.settimeout(10)
            endless.connect(paths)
            endless.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n")
            said = b""
            for _ in range(100):
                try:
                    endless.sendall(b"x-a: " + b"y" * 4_000 + b"\r\n")
                    time.sleep(0.001)
                except OSError:
                    break
            else:
                pytest.fail("400,000 bytes of headers were read")
            assert said == b""
