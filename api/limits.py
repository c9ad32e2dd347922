"""What a request may be at most: its line and headers, its body as it arrives, how deep its JSON nests.

A route that takes more than the usual body says so with `openapi_extra=body_bytes_max(...)`.
"""

import asyncio
import re
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem

BODY_BYTES_MAX = 1_000_000
TARGET_BYTES_MAX = 8_192
HEADER_BYTES_MAX = 32_768
HEADERS_MAX = 100
PARAMETERS_MAX = 100
JSON_DEPTH_MAX = 32
BODY_SECONDS_MAX = 30.0
_EXTRA = "x-body-bytes-max"
_READING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_PAIR = re.compile(rb"\[\]|\{\}")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def body_bytes_max(count: int) -> dict[str, Any]:
    """For a route's `openapi_extra`: the size of body that it takes."""
    return {_EXTRA: count}


def is_too_deep(body: bytes) -> bool:
    """Whether JSON nests deeper than JSON_DEPTH_MAX (or is not JSON at all), told without building it."""
    if body.count(b"[") + body.count(b"{") <= JSON_DEPTH_MAX:
        return False
    brackets = _TEXT.sub(b"", body).translate(None, _NOT_BRACKETS)
    for _ in range(JSON_DEPTH_MAX):
        if not brackets:
            return False
        brackets = _PAIR.sub(b"", brackets)
    return bool(brackets)


class Limits:
    """The limits as a layer around the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or hand on with a body that is counted while it is read."""
        if scope["type"] == "http":
            refusal = _refusal(scope)
            if refusal is not None:
                status, code, detail = refusal
                await problem(status, code, detail)(scope, receive, send)
                return
            if scope["method"] not in _READING:
                receive = _Body(scope, receive).receive
        await self._app(scope, receive, send)


def _refusal(scope: Scope) -> tuple[int, str, str] | None:
    target, query, headers = scope.get("raw_path") or b"", scope["query_string"], scope["headers"]
    if len(target) + len(query) > TARGET_BYTES_MAX:
        return 422, "input", f"the address is longer than {TARGET_BYTES_MAX:,} bytes: send fewer parameters"
    if query.count(b"&") >= PARAMETERS_MAX:
        return 422, "input", f"the query holds more than {PARAMETERS_MAX} parameters: send fewer"
    if len(headers) > HEADERS_MAX or sum(len(name) + len(value) for name, value in headers) > HEADER_BYTES_MAX:
        return 431, "too_large", f"more than {HEADERS_MAX} headers or {HEADER_BYTES_MAX:,} bytes of them: send fewer"
    if "\x00" in scope["path"] or b"%00" in query:
        return 422, "input", "the address holds the character zero, which no text of ours does: leave it out"
    return None


class _Body:
    """One request's body on its way in."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope, self._receive = scope, receive
        self._is_json = any(name == b"content-type" and b"json" in value for name, value in scope["headers"])
        said = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        self._said = int(said) if said.isdigit() else 0
        self._read = 0
        self._parts: list[bytes] = []
        self._ended = False
        self._deadline = asyncio.get_running_loop().time() + BODY_SECONDS_MAX

    async def receive(self) -> Message:
        """The next message. HTTPException where the body is too large, too slow or too deep."""
        if self._ended:
            return await self._receive()  # now it waits for the caller to hang up
        self._require_room(self._said)
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError as error:
            raise HTTPException(408, f"the body did not arrive within {BODY_SECONDS_MAX:.0f} seconds") from error
        if message["type"] == "http.request":
            self._take(message)
        return message

    def _take(self, message: Message) -> None:
        part = message.get("body", b"")
        self._read += len(part)
        self._require_room(self._read)
        self._ended = not message.get("more_body", False)
        if self._is_json:
            self._parts.append(part)
            if self._ended and is_too_deep(b"".join(self._parts)):
                raise HTTPException(422, f"the body is not JSON, or nests deeper than {JSON_DEPTH_MAX} levels")

    def _require_room(self, size: int) -> None:
        most = (getattr(self._scope.get("route"), "openapi_extra", None) or {}).get(_EXTRA, BODY_BYTES_MAX)
        if size > most:
            raise HTTPException(413, f"the body is larger than {most:,} bytes, which is the most that is read here")
