"""HTTP as the server hears it: a caller who sends his headers drop by drop, or without end, is hung up on."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS_MAX = 10.0
HEAD_BYTES_MAX = 65_536


class Protocol(HttpToolsProtocol):
    """Uvicorn's own, with an end to patience before a request's headers are complete."""

    _patience: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody calls."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Somebody is gone."""
        self._heard()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes; those of a head are counted."""
        if self._in_head:
            self._head_bytes += len(data)
            if self._patience is None:
                self._wait()  # the next request on a connection that was kept
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.send_400_response("The request's headers do not end.")

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._heard()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is there too: what comes next is another head."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def _wait(self) -> None:
        self._patience = self.loop.call_later(HEAD_SECONDS_MAX, self._hang_up)

    def _heard(self) -> None:
        self._in_head = False
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _hang_up(self, *_: Any) -> None:
        if not self.transport.is_closing():
            self.transport.close()
