"""Events as they happen: one listener a process hears what commits; each stream reads what is its own to see.

What is said is only that something changed. A stream then reads under its actor's scope, so nobody hears of foreign
rows; it keeps a set of what changed, not a queue, so that a slow reader costs no memory; and reading anew also finds
out whether the sign-in still holds.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from anyio import CapacityLimiter, fail_after, to_thread
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.types import Send

from core.errors import AcisError, TooMany
from core.log import get_logger
from database.listening import Listener
from database.queries.jobs import EVENTS_CHANNEL
from database.session import limited_url

PING_S = 15.0
RETRY_MS = 3000
STREAMS_PER_USER_MAX = 20
KEYS_MAX = 500
_STALLED_S = 30.0  # a reader that takes nothing for so long is let go; it comes back by itself
_READERS = 2
_LISTEN_S = 1.0
_AGAIN_S = 1.0
_log = get_logger("api")
Read = TypeVar("Read")


class EventStream(StreamingResponse):
    """Server-sent events, with the headers that keep what stands between from holding them back."""

    media_type = "text/event-stream"

    def __init__(self, content: AsyncIterator[str], status_code: int = 200) -> None:
        super().__init__(
            content, status_code, headers={"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
        )

    async def stream_response(self, send: Send) -> None:
        """Send what comes; a reader that no longer takes it is let go."""

        async def send_soon(message: Any) -> None:
            with fail_after(_STALLED_S):
                await send(message)

        try:
            await super().stream_response(send_soon)
        except TimeoutError:
            _log.info("a stream's reader takes nothing more")


def event(kind: str, data: BaseModel | Mapping[str, Any], *, id: str | int | None = None) -> str:
    """One event on the wire."""
    content = data if isinstance(data, BaseModel) else _Free.model_validate(data)
    head = "" if id is None else f"id: {id}\n"
    return f"{head}event: {kind}\ndata: {content.model_dump_json()}\n\n"


class _Free(BaseModel, extra="allow"):
    """Any fields, as JSON."""


PING = ": ping\n\n"
BEGIN = f"retry: {RETRY_MS}\n\n"


class Subscription:
    """What one stream is interested in, and what of it has changed since it last looked."""

    def __init__(self, topics: Collection[str], key: int | None) -> None:
        self._topics = frozenset(topics)
        self._key = key
        self._something = asyncio.Event()
        self._changed: dict[str, set[int]] = {}
        self._missed = False

    def tell(self, topic: str, key: int) -> None:
        """Note a change, if it is of interest."""
        if topic not in self._topics or (self._key is not None and key != self._key):
            return
        keys = self._changed.setdefault(topic, set())
        keys.add(key)
        if len(keys) > KEYS_MAX:
            self.miss()
        self._something.set()

    def miss(self) -> None:
        """Note that changes were not heard, or are too many to name."""
        self._missed = True
        self._changed.clear()
        self._something.set()

    async def wait(self, timeout_s: float) -> bool:
        """Whether something changed before the time was over."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._something.wait()
        except TimeoutError:
            return False
        return True

    def take(self) -> tuple[bool, dict[str, set[int]]]:
        """(whether changes were missed, what changed by topic); from here on it counts as seen."""
        self._something.clear()
        missed, self._missed = self._missed, False
        changed, self._changed = self._changed, {}
        return missed, changed


class Hub:
    """The process's one listener, and the streams that it serves. Used from the event loop only."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._streams: Counter[int] = Counter()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._heard = asyncio.Event()
        self._readers = CapacityLimiter(_READERS)

    @contextmanager
    def subscribed(self, topics: Collection[str], *, user_id: int, key: int | None = None) -> Any:
        """A subscription for as long as the stream lasts. TooMany where one user has opened very many."""
        if self._streams[user_id] >= STREAMS_PER_USER_MAX:
            raise TooMany(
                f"{STREAMS_PER_USER_MAX} event streams are open already: close some, or use /api/v1/events for all",
                retry_after_s=10,
            )
        subscription = Subscription(topics, key)
        self._subscriptions.add(subscription)
        self._streams[user_id] += 1
        self._listen()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            self._streams[user_id] -= 1
            if not self._streams[user_id]:
                del self._streams[user_id]

    async def listening(self) -> None:
        """Wait until changes are heard; not for long: where the database is away the streams say so themselves."""
        try:
            async with asyncio.timeout(_LISTEN_S * 2):
                await self._heard.wait()
        except TimeoutError:
            _log.warning("events are not heard yet")

    async def read(self, work: Callable[[], Read]) -> Read:
        """Look into the database in a thread; few do so at once, whoever else serves requests meanwhile."""
        return await to_thread.run_sync(work, limiter=self._readers)

    async def close(self) -> None:
        """Stop to listen."""
        self._stopping.set()
        if self._thread is not None:
            await to_thread.run_sync(self._thread.join)

    def _listen(self) -> None:
        if self._thread is None:
            loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._hear, args=(loop,), name="events", daemon=True)
            self._thread.start()

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        """The listener's thread: hears until closed, on a new connection whenever the old one is lost."""
        while not self._stopping.is_set():
            try:
                with Listener(limited_url(), [EVENTS_CHANNEL]) as listener:
                    loop.call_soon_threadsafe(self._begin)
                    while not self._stopping.is_set():
                        for payload in listener.hear(timeout_s=_LISTEN_S):
                            loop.call_soon_threadsafe(self._tell, payload)
            except RuntimeError:
                if loop.is_closed():
                    return
                raise
            except AcisError as error:
                _log.warning("events are not heard", error=str(error))
                self._stopping.wait(_AGAIN_S)

    def _begin(self) -> None:
        """What was said while nobody listened is lost: every stream reads anew."""
        self._heard.set()
        for subscription in self._subscriptions:
            subscription.miss()

    def _tell(self, payload: str) -> None:
        topic, _, key = payload.partition(":")
        if key.isdigit():
            for subscription in self._subscriptions:
                subscription.tell(topic, int(key))
