"""Structured logs on stderr, with run and job ids, secrets masked."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from core.config import Settings

_SECRET = re.compile(r"(password|secret|token|authorization|api_?key)", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(://[^:/@\s]+:)[^@\s]+@")


def _mask(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if _SECRET.search(key):
            event[key] = "***"
        elif isinstance(value, str):
            event[key] = _URL_PASSWORD.sub(r"\1***@", value)
    return event


def configure_logs(settings: Settings) -> None:
    """Set the process up to log to stderr: JSON where asked for, readable lines otherwise."""
    renderer: Any = (
        structlog.processors.JSONRenderer() if settings.log_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level]),
        # stderr as it is when the line is written, which is not always what it was when the process began.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def get_logger(room: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that names the room it speaks for."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(room=room)
    return logger


def bind_log(**fields: object) -> None:
    """Let every line of this request or job carry these fields from here on."""
    structlog.contextvars.bind_contextvars(**fields)


def current_request_id() -> str | None:
    """The number of the request that is being answered; None outside of one."""
    found: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return found


def current_address() -> str | None:
    """The network address that the request being answered came from; None outside of one."""
    found: str | None = structlog.contextvars.get_contextvars().get("address")
    return found
