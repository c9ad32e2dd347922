"""What a job's process logs, as lines of the job."""

import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from core.log import get_logger
from database.session import transaction
from jobs import lease
from jobs.lease import Held

LINES_MAX = 1000
_FIELD_CHARACTERS_MAX = 500
_TOLD_LEVELS = frozenset({"info", "warning", "error", "critical"})
# Of no interest beside the job itself; and what would tell of clients to those who may see the job but not them.
_LEFT_OUT = frozenset({"timestamp", "job_id", "job", "exception", "request_id", "user_id"})
_CLIENT_WORDS = ("client", "account", "household")
_log = get_logger("mlops")

Line = Mapping[str, Any]


class LogLines:
    """Stores a job's lines beside its row, up to LINES_MAX; the process's own log has them all."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._count = 0
        self._busy = threading.local()

    def __call__(self, event: Line) -> None:
        """Store one line; what the storing itself has to say goes to the process's log only."""
        if getattr(self._busy, "on", False) or event.get("level") not in _TOLD_LEVELS or not self._may_tell(event):
            return
        self._count += 1
        if self._count > LINES_MAX:
            return
        line = self._line(event) if self._count < LINES_MAX else {"level": "warning", "event": "no further lines here"}
        self._busy.on = True
        try:
            with transaction() as session:
                lease.tell_line(session, self._held, line)
        except Exception as error:  # noqa: BLE001 a line that is not stored must not end the job
            _log.warning("a line was not stored", error=str(error))
        finally:
            self._busy.on = False

    def _may_tell(self, event: Line) -> bool:
        return self._held.is_private or not any(word in key for key in event for word in _CLIENT_WORDS)

    def _line(self, event: Line) -> dict[str, Any]:
        return {
            key: value[:_FIELD_CHARACTERS_MAX] if isinstance(value, str) else value
            for key, value in event.items()
            if key not in _LEFT_OUT
        }


@contextmanager
def listen_to_log(listener: Callable[[Line], None]) -> Iterator[None]:
    """Let the listener hear every line of this process, secrets masked, before it is written."""
    before = structlog.get_config()["processors"]

    def tell(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        listener(event)
        return event

    structlog.configure(processors=[*before[:-1], tell, before[-1]])
    try:
        yield
    finally:
        structlog.configure(processors=before)
