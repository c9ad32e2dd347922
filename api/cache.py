"""Answers kept in Redis for a while. Without Redis everything still works, only slower.

Who may see an answer is found out before it is looked for here, each time: a key is no permission.

The client connects on first use. After a failure it is left alone for a few seconds, so that a Redis that is down or
slow costs one request in a while its time-out and the others nothing.
"""

import time
from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.config import get_settings
from core.log import get_logger

TIMEOUT_S = 0.25
REST_S = 5.0
Answer = TypeVar("Answer")
_log = get_logger("api")


class Comfort:
    """A Redis that may fail: `attempt` answers None instead."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )
        self._lock = Lock()
        self._resting_until = 0.0

    def attempt(self, work: Callable[["redis.Redis"], Answer]) -> Answer | None:
        """What `work` brings from Redis, or None where Redis does not answer or is being left alone."""
        if time.monotonic() < self._resting_until:
            return None
        try:
            return work(self._client)
        except redis.RedisError as error:
            with self._lock:
                self._resting_until = time.monotonic() + REST_S
            _log.warning("redis does not answer", error=str(error), resting_s=REST_S)
            return None


@cache
def comfort() -> Comfort:
    """The process's Redis, made on first use."""
    return Comfort(get_settings().redis_address)


def keep(key: str, body: bytes, *, seconds: int) -> None:
    """Keep an answer for a while."""
    comfort().attempt(lambda client: client.set(key, body, ex=seconds))


def find(key: str) -> bytes | None:
    """The answer that was kept."""
    found = comfort().attempt(lambda client: client.get(key))
    return found if isinstance(found, bytes) else None
