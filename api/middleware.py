"""The frame of every answer: a number for the request, headers that protect, one line in the log, one count.

Pure ASGI: streams pass through untouched.
"""

import re
import time
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from secrets import token_hex

from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import metrics
from api.errors import fault
from api.word import PREFIX
from core.log import begin_log, get_logger

UNKNOWN_ROUTE = "(none)"
_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NOT_STORED = (b"cache-control", b"no-store")
_STREAM = b"text/event-stream"
_PROBES = frozenset({"/health/live", "/health/ready", "/metrics"})
_REFUSED = 400
_log = get_logger("api")


class Frame:
    """The outermost layer. `trusted_proxies`: networks whose X-Forwarded-For is believed."""

    def __init__(self, app: ASGIApp, trusted_proxies: str) -> None:
        self._app = app
        self._trusted = [ip_network(word.strip()) for word in trusted_proxies.split(",") if word.strip()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request inside the frame."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        scope.setdefault("state", {})["address"] = address = self._address(scope)
        begin_log(request_id=answer.request_id, method=scope["method"], path=scope["path"], address=address)
        if "fastapi.telemetry" in scope:
            trace.get_current_span().set_attribute("acis.request_id", answer.request_id)
        with metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, receive, answer.send)
            except Exception as error:  # noqa: BLE001 the last that can be done for whoever asked
                response = fault(error)
                if answer.status is None:
                    await response(scope, receive, answer.send)
            finally:
                answer.note()

    def _address(self, scope: Scope) -> str:
        """Who asks: the peer, or the last address in X-Forwarded-For that no trusted proxy wrote down of another."""
        client = scope.get("client")
        peer = client[0] if client else "local"
        if not self._trusted or not self._trusts(peer):
            return peer
        hops = [
            hop.strip()
            for name, value in scope["headers"]
            if name == b"x-forwarded-for"
            for hop in value.decode("latin-1").split(",")
        ]
        return next((hop for hop in reversed(hops) if _is_address(hop) and not self._trusts(hop)), peer)[:64]

    def _trusts(self, address: str) -> bool:
        return _is_address(address) and any(ip_address(address) in network for network in self._trusted)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class _Answer:
    """What goes back to whoever asked."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        sent = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        self.request_id = sent.decode() if _ID.fullmatch(sent) else token_hex(8)
        self.status: int | None = None
        self._is_stream = False
        self._size = 0
        self._started = time.perf_counter()

    async def send(self, message: Message) -> None:
        """Hand a message on, the first with the headers of every answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers(message.get("headers", ()))]
        elif message["type"] == "http.response.body":
            self._size += len(message.get("body", b""))
        await self._send(message)

    def _headers(self, own: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
        yield b"x-request-id", self.request_id.encode()
        yield from _ALWAYS
        names = {name.lower(): value for name, value in own}
        self._is_stream = names.get(b"content-type", b"").startswith(_STREAM)
        if b"cache-control" not in names:
            yield _NOT_STORED
        standing = self._scope["state"].get("rate")
        if standing is not None:
            yield from standing.headers()

    def note(self) -> None:
        """One line in the log, one count."""
        seconds = time.perf_counter() - self._started
        status, route = self.status or 499, route_of(self._scope)
        metrics.observe(self._scope["method"], route, status, None if self._is_stream else seconds)
        # Probes come every few seconds and tell nothing while all is well.
        tell = _log.debug if route in _PROBES and status < _REFUSED else _log.info
        tell("answered", route=route, status=status, bytes=self._size, ms=round(seconds * 1000, 1))


def route_of(scope: Scope) -> str:
    """The route's path with its parameters by name; the same word for every path that is none."""
    route = scope.get("route")
    if route is None:
        return UNKNOWN_ROUTE
    # The route knows its path below the prefix that the application gave it.
    prefix = PREFIX if scope["path"].startswith(PREFIX) and not route.path_format.startswith(PREFIX) else ""
    return f"{prefix}{route.path_format}"
