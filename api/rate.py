"""How often somebody may ask: a moving window of a minute, kept in Redis so that all processes count together.

One round trip a request. While Redis is away each process counts for itself, without waiting for it: nobody is refused
for that, and nobody asks without limit.
"""

import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from math import ceil
from secrets import token_hex

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from api import metrics
from auth.actor import Actor
from core.config import get_settings
from core.errors import TooMany
from core.log import get_logger

WINDOW_S = 60
_ANSWER_S_MAX = 0.25
_REST_S = 5.0
_CALLERS_MAX = 10_000

_log = get_logger("api")

# Times of the calls of the last minute, one key a caller; the server's clock, so that all processes agree.
_TAKE = """
local at = redis.call('TIME')
local now = at[1] * 1000000 + at[2]
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2]) * 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local count = redis.call('ZCARD', KEYS[1])
local granted = 0
if count < limit then
    granted, count = 1, count + 1
    redis.call('ZADD', KEYS[1], now, ARGV[3])
    redis.call('EXPIRE', KEYS[1], ARGV[2])
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {granted, limit - count, math.max(0, oldest[2] + window - now)}
"""


@dataclass(frozen=True)
class Standing:
    """What a caller (a person, a machine, a stranger) may still do.

    Whether this call is granted, how many are left, and the seconds until the oldest of the minute is forgotten.
    """

    who: str
    limit: int
    granted: bool
    left: int
    frees_in_s: float

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The standard fields (draft-ietf-httpapi-ratelimit-headers)."""
        policy = b'"minute";q=%d;w=%d' % (self.limit, WINDOW_S)
        return [
            (b"ratelimit-policy", policy),
            (b"ratelimit", b'"minute";r=%d;t=%d' % (self.left, ceil(self.frees_in_s))),
        ]


class LocalWindow:
    """The window of one process: for when Redis is away."""

    def __init__(self) -> None:
        self._calls: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def take(self, who: str, caller: str, limit: int) -> Standing:
        """Count one call, if there is room."""
        at, key = time.monotonic(), (who, caller)
        calls = self._calls.setdefault(key, deque())
        self._calls.move_to_end(key)
        if len(self._calls) > _CALLERS_MAX:
            self._calls.popitem(last=False)
        while calls and calls[0] <= at - WINDOW_S:
            calls.popleft()
        granted = len(calls) < limit
        if granted:
            calls.append(at)
        return Standing(who, limit, granted, limit - len(calls), WINDOW_S - (at - calls[0]))


class Rates:
    """Counts the calls of everybody. `open` in the loop that serves; before and after it counts in the process."""

    def __init__(self) -> None:
        self._local = LocalWindow()
        self._client: redis.Redis | None = None
        self._take: AsyncScript
        self._rests_until = 0.0
        self._is_away = False
        self._name = token_hex(4)
        self._counted = 0
        self._blocked: OrderedDict[str, float] = OrderedDict()

    def open(self) -> None:
        """Meet Redis; whether it is there shows with the first call."""
        url = get_settings().redis_address
        self._client = redis.Redis.from_url(
            url, socket_timeout=_ANSWER_S_MAX, socket_connect_timeout=_ANSWER_S_MAX, retry=Retry(NoBackoff(), 1)
        )
        self._take = self._client.register_script(_TAKE)

    async def close(self) -> None:
        """Let go of Redis."""
        if self._client is not None:
            await self._client.aclose()
        self._client = None

    async def charge(self, actor: Actor) -> Standing:
        """Count a call of somebody known."""
        settings = get_settings()
        if actor.api_key_id is not None:
            return await self._charge("machine", str(actor.api_key_id), settings.machine_requests_per_minute)
        return await self._charge("person", str(actor.user_id), settings.requests_per_minute)

    async def charge_stranger(self, address: str) -> Standing:
        """Count a call of nobody known, by where it came from."""
        standing = await self._charge("stranger", address, get_settings().requests_per_minute)
        if not standing.granted:
            self._blocked[address] = time.monotonic() + standing.frees_in_s
            if len(self._blocked) > _CALLERS_MAX:
                self._blocked.popitem(last=False)
        return standing

    def blocked(self, address: str) -> Standing | None:
        """The standing of an address whose guesses have used its minute up: the next one costs nobody a look."""
        frees_in_s = self._blocked.get(address, 0.0) - time.monotonic()
        if frees_in_s > 0:
            return Standing("stranger", get_settings().requests_per_minute, False, 0, frees_in_s)
        self._blocked.pop(address, None)
        return None

    async def answers(self) -> bool:
        """Whether Redis keeps the window now."""
        if self._client is None:
            return False
        try:
            return bool(await self._client.ping())
        except (RedisError, OSError):
            return False

    async def _charge(self, who: str, caller: str, limit: int) -> Standing:
        if self._client is not None and time.monotonic() >= self._rests_until:
            if self._is_away:
                self._rests_until = time.monotonic() + _REST_S  # the others need not find out too
            try:
                return await self._ask_redis(who, caller, limit)
            except (RedisError, OSError) as error:
                self._is_away, self._rests_until = True, time.monotonic() + _REST_S
                _log.warning("rate limit without Redis", error=str(error), rests_s=_REST_S)
        metrics.rate_fallbacks.inc()
        return self._local.take(who, caller, limit)

    async def _ask_redis(self, who: str, caller: str, limit: int) -> Standing:
        self._counted += 1
        call = f"{self._name}:{self._counted}"
        granted, left, frees_in_us = await self._take(keys=[f"rate:{who}:{caller}"], args=[limit, WINDOW_S, call])
        self._is_away, self._rests_until = False, 0.0
        return Standing(who, limit, bool(granted), left, frees_in_us / 1e6)


def admit(standing: Standing) -> None:
    """TooMany where the minute is full."""
    if not standing.granted:
        metrics.rate_refusals.labels(standing.who).inc()
        seconds = max(1, ceil(standing.frees_in_s))
        raise TooMany(
            f"more than {standing.limit} requests within a minute: wait {seconds} seconds", retry_after_s=seconds
        )
