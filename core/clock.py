"""The only source of "now"."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
_fixed: ContextVar[datetime | None] = ContextVar("fixed_clock", default=None)


def now() -> datetime:
    """The present moment in UTC, or the moment at which `fixed_clock` holds it."""
    return _fixed.get() or datetime.now(UTC)


def today_in_new_york() -> date:
    """The calendar day at the exchange."""
    return now().astimezone(NEW_YORK).date()


@contextmanager
def fixed_clock(moment: datetime) -> Iterator[None]:
    """Hold the clock at `moment` (must carry a zone): for tests and replays."""
    if moment.tzinfo is None:
        raise ValueError(f"the clock needs a time with a zone, got {moment!r}")
    token = _fixed.set(moment.astimezone(UTC))
    try:
        yield
    finally:
        _fixed.reset(token)
