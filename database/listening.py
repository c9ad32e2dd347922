"""Hears what transactions told when they committed (NOTIFY), on a connection of its own."""

from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from core.errors import Unreachable

_CONNECT_S = 5


class Listener:
    """One connection that hears the channels from the moment it is entered. What was told before is not heard."""

    def __init__(self, url: str, channels: Sequence[str]) -> None:
        self._url = url
        self._channels = channels
        self._connection: psycopg.Connection | None = None

    def __enter__(self) -> Self:
        """Begin to hear. Unreachable where the server does not answer."""
        try:
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=_CONNECT_S)
            for channel in self._channels:
                self._connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
        except psycopg.Error as error:
            raise Unreachable(f"the database does not answer: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()

    def hear(self, *, timeout_s: float) -> list[str]:
        """Payloads that came: at once when there are some, else after the time; empty where nobody said anything.

        Unreachable where the connection is gone: what is said until the next one is not heard.
        """
        assert self._connection is not None
        try:
            return [said.payload for said in self._connection.notifies(timeout=timeout_s, stop_after=1)]
        except psycopg.Error as error:
            raise Unreachable(f"the database does not answer: {error}") from error
