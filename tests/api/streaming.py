"""Calls the application as a server does, and reads an answer that does not end."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Message

import api.streams
from api.app import create_app
from tests.api.conftest import Firm


class Stream:
    """An open answer: its status and headers, then its events."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self._text = ""
        self._came = asyncio.Condition()

    async def hear(self, message: Message) -> None:
        """What the application sends."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            self.begun.set()
        else:
            async with self._came:
                self._text += message.get("body", b"").decode()
                self._came.notify_all()

    async def block(self, timeout_s: float = 10.0) -> str:
        """The next block: an event, a comment, or the pause between tries."""
        async with asyncio.timeout(timeout_s), self._came:
            await self._came.wait_for(lambda: "\n\n" in self._text)
            block, _, self._text = self._text.partition("\n\n")
        return block

    async def event(self, timeout_s: float = 10.0) -> dict[str, Any]:
        """The next event, comments left out: its fields, with the data parsed."""
        while True:
            fields = dict(line.split(": ", 1) for line in (await self.block(timeout_s)).splitlines() if line[0] != ":")
            if "data" in fields:
                return {**fields, "data": json.loads(fields["data"])}


@asynccontextmanager
async def opened(app: ASGIApp, path: str, *, headers: dict[str, str], query: str = "") -> AsyncIterator[Stream]:
    """A GET whose answer is read while it goes on; leaving it is a browser that closes."""
    stream, left = Stream(), asyncio.Event()
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "scheme": "http",
        "root_path": "",
    }
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def run() -> None:
        try:
            await app(scope, receive, stream.hear)
        finally:
            stream.ended.set()

    task = asyncio.create_task(run())
    async with asyncio.timeout(10):
        await stream.begun.wait()
    try:
        yield stream
    finally:
        left.set()
        async with asyncio.timeout(10):
            await task


@asynccontextmanager
async def alive() -> AsyncIterator[FastAPI]:
    """The application with its life around it."""
    app = create_app()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api.streams, "_LISTEN_S", 0.05)  # for which its end is waited
        async with app.router.lifespan_context(app):
            yield app


def run(work: Callable[[FastAPI], Awaitable[None]]) -> None:
    """Do asynchronous work with a living application."""

    async def inner() -> None:
        async with alive() as app, asyncio.timeout(60):
            await work(app)

    asyncio.run(inner())


def bearer(firm: Firm, role: str, **more: str) -> dict[str, str]:
    """Headers of somebody of a role."""
    return {"Authorization": f"Bearer {firm.token(role)}", **more}


async def in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    """Work that would hold the loop up."""
    return await asyncio.to_thread(work, *arguments)
