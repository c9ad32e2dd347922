"""The sessions of the New York Stock Exchange."""

import warnings
from bisect import bisect_left, bisect_right
from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo

import exchange_calendars

from core.errors import InputError, NotASession

EXCHANGE = "XNYS"
FIRST_ON, LAST_ON = date(1962, 1, 2), date(2040, 12, 31)
_NEW_YORK = ZoneInfo("America/New_York")


@cache
def _calendar() -> exchange_calendars.ExchangeCalendar:
    with warnings.catch_warnings():
        # The library calls pandas in ways that pandas 3 announces to change; nothing of that reaches us.
        warnings.simplefilter("ignore", DeprecationWarning)
        return exchange_calendars.get_calendar(EXCHANGE, start=FIRST_ON.isoformat(), end=LAST_ON.isoformat())


@cache
def all_sessions() -> tuple[date, ...]:
    """Every session that the calendar knows, in order: 1962 to 2040."""
    return tuple(stamp.date() for stamp in _calendar().sessions)


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
    opens: datetime = _calendar().session_open(require_session(day).isoformat()).to_pydatetime()
    return opens.astimezone(_NEW_YORK)
