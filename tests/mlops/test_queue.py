"""The embedded Redis: answers on its socket, evicts nothing, survives a restart with its jobs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from core.config import get_settings
from mlops.queue import queue_answers, queue_process, start_queue
from tests.mlops.test_process import wait_for

pytestmark = pytest.mark.servers


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[redis.Redis]:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("ACIS_VAR_DIR", str(tmp_path))
    get_settings.cache_clear()
    assert not queue_answers()
    assert start_queue()
    wait_for(queue_answers)
    with redis.Redis.from_url(f"unix://{get_settings().redis_socket}") as client:
        yield client
    queue_process().stop()
    get_settings.cache_clear()


def test_second_start_joins(client: redis.Redis) -> None:
    assert not start_queue()


def test_listens_on_no_port_and_evicts_nothing(client: redis.Redis) -> None:
    assert client.config_get("port") == {"port": "0"}
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_job_survives_a_restart(client: redis.Redis) -> None:
    client.lpush("acis", "job")
    queue_process().stop()
    assert not queue_answers()
    start_queue()
    wait_for(queue_answers)
    assert client.lrange("acis", 0, -1) == [b"job"]


def test_socket_is_for_its_owner_only(client: redis.Redis) -> None:
    assert get_settings().redis_socket.stat().st_mode & 0o077 == 0
