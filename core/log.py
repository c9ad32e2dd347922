"""Structured logs on stderr, with request, user and job ids, secrets masked."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from core.config import Settings

_MASK = "***"
_SECRET_NAME = re.compile(r"(passw|secret|token|authorization|cookie|api_?key|otp|csrf)", re.IGNORECASE)
# Secrets that stand inside other text: a URL's password, what follows Bearer or Basic, name=value, a JWT, our keys.
_SECRET_TEXT = (
    (re.compile(r"(://[^:/@\s]*:)[^@\s]+@"), r"\1***@"),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), r"\1 ***"),
    (
        re.compile(r"""((?:passw\w*|\w*secret\w*|\w*token|api_?key|otp)["']?\s*[=:]\s*)(["']?)[^\s"'&,;)}]+""", re.I),
        r"\1\2***",
    ),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), _MASK),
    (re.compile(r"\bacis_[A-Za-z0-9_-]{16,}"), _MASK),
)
_URL_SECRET = re.compile(r"://[^:/@\s]*:([^@\s]+)@")
_DEPTH_MAX = 8


class _Masker:
    """Takes secrets out of whatever is to be logged: by the name they go by, by their form, by their very text."""

    def __init__(self, settings: Settings) -> None:
        words = [word.strip() for word in (settings.token_secrets or "").split(",")] + [settings.metrics_token or ""]
        for url in (settings.database_url, settings.api_database_url, settings.redis_url, settings.mlflow_tracking_uri):
            words += _URL_SECRET.findall(url or "")
        self._own = [word for word in words if word]

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {key: _MASK if _SECRET_NAME.search(key) else self._clean(value, 0) for key, value in event.items()}

    def _clean(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._clean_text(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth >= _DEPTH_MAX:
            return _MASK
        if isinstance(value, Mapping):
            return {
                str(key): _MASK if _SECRET_NAME.search(str(key)) else self._clean(item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(item, depth + 1) for item in value]
        return self._clean_text(str(value))

    def _clean_text(self, text: str) -> str:
        for word in self._own:
            text = text.replace(word, _MASK)
        for pattern, instead in _SECRET_TEXT:
            text = pattern.sub(instead, text)
        return text


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
            _Masker(settings),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level]),
        # stderr as it is when the line is written, which is not always what it was when the process began.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


class _Adopted(logging.Handler):
    """Lines of libraries, said in our form."""

    def emit(self, record: logging.LogRecord) -> None:
        get_logger(record.name).log(record.levelno, record.getMessage(), exc_info=record.exc_info)


def adopt_library_logs() -> None:
    """Let what libraries log by Python's own means come out in our form and with our masks."""
    logging.basicConfig(handlers=[_Adopted()], level=logging.INFO, force=True)


def get_logger(room: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that names the room it speaks for."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(room=room)
    return logger


def bind_log(**fields: object) -> None:
    """Let every line of this request or job carry these fields from here on."""
    structlog.contextvars.bind_contextvars(**fields)


def begin_log(**fields: object) -> None:
    """Begin a request or job: its lines carry these fields and no other's."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**fields)


def current_request_id() -> str | None:
    """The number of the request that is being answered; None outside of one."""
    found: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return found


def current_address() -> str | None:
    """The network address that the request being answered came from; None outside of one."""
    found: str | None = structlog.contextvars.get_contextvars().get("address")
    return found
