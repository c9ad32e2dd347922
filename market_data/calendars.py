"""The sessions of the New York Stock Exchange.

Days that are no session, and sessions that close early, stand in `xnys.csv`; a test holds the file against the
exchange_calendars library, whose rules it was written from (`python -m tests.market_data.write_calendar`). Reading it
takes milliseconds and no memory, so every process may ask what day it is.
"""

import csv
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from core.errors import InputError, NotASession

EXCEPTIONS_FILE = Path(__file__).with_name("xnys.csv")
FIRST_ON, LAST_ON = date(1962, 1, 2), date(2040, 12, 31)
OPENS, CLOSES = time(9, 30), time(16, 0)
_NEW_YORK = ZoneInfo("America/New_York")
_SATURDAY = 5


@cache
def _exceptions() -> Mapping[date, time | None]:
    """Weekdays other than the rest: when the session closes, or None where there is none."""
    with EXCEPTIONS_FILE.open(newline="") as file:
        return {
            date.fromisoformat(row["day"]): time.fromisoformat(row["closes"]) if row["closes"] else None
            for row in csv.DictReader(file)
        }


@cache
def all_sessions() -> tuple[date, ...]:
    """Every session that the calendar knows, in order: 1962 to 2040."""
    closed = {day for day, closes in _exceptions().items() if closes is None}
    days = (FIRST_ON + timedelta(days=number) for number in range((LAST_ON - FIRST_ON).days + 1))
    return tuple(day for day in days if day.weekday() < _SATURDAY and day not in closed)


def _in_range(day: date) -> None:
    if not FIRST_ON <= day <= LAST_ON:
        raise InputError(f"date {day} is outside the calendar, which runs from {FIRST_ON} to {LAST_ON}")


def sessions_between(first_on: date, last_on: date) -> list[date]:
    """The sessions from `first_on` to `last_on`, both included."""
    sessions = all_sessions()
    return list(sessions[bisect_left(sessions, first_on) : bisect_right(sessions, last_on)])


def is_session(day: date) -> bool:
    """Whether the exchange traded on `day`."""
    _in_range(day)
    sessions = all_sessions()
    return sessions[bisect_left(sessions, day)] == day


def next_session(day: date) -> date:
    """The first session after `day`."""
    _in_range(day)
    sessions = all_sessions()
    return sessions[bisect_right(sessions, day)]


def previous_session(day: date) -> date:
    """The last session before `day`."""
    _in_range(day)
    sessions = all_sessions()
    place = bisect_left(sessions, day)
    if place == 0:
        raise InputError(f"date {day} is the first of the calendar; there is no session before it")
    return sessions[place - 1]


def require_session(day: date) -> date:
    """`day` itself, or NotASession with its neighbours."""
    if not is_session(day):
        raise NotASession(day, previous_session(day), next_session(day))
    return day


def session_open(day: date) -> datetime:
    """When trading opens on a session, New York time."""
    return datetime.combine(require_session(day), OPENS, _NEW_YORK)


def session_close(day: date) -> datetime:
    """When trading closes on a session, New York time: earlier on the days around some holidays."""
    return datetime.combine(require_session(day), _exceptions().get(day) or CLOSES, _NEW_YORK)
