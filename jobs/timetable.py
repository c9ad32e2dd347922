"""What runs when: one table, in New York time, with the exchange's sessions and half days.

An entry is due at most once a day; the row of `jobs`, unique by name and day, keeps it so whoever raises it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum

from core.clock import NEW_YORK
from core.errors import UnknownName
from core.jobs import (
    AuditLeaks,
    BuildFeatures,
    Job,
    Nightly,
    RefreshData,
    RespondToDrift,
    SyncTracking,
    TrainAllocator,
    TrainScreener,
    WatchDrift,
)
from market_data.calendars import is_session, session_close

LOOK_BACK_DAYS = 366
_SATURDAY, _SUNDAY = 5, 6


class Days(Enum):
    """On which days; the value is what people read."""

    EVERY_DAY = "every day"
    SESSIONS = "trading sessions"
    SATURDAYS = "Saturdays"
    SUNDAYS = "Sundays"
    FIRST_OF_MONTH = "the first of the month"


@dataclass(frozen=True)
class Hour:
    """An hour of New York's day, or that many minutes after the session's close, which is earlier on half days."""

    at: time | None = None
    minutes_after_close: int | None = None

    def __str__(self) -> str:
        return f"{self.at:%H:%M}" if self.at else f"close + {self.minutes_after_close} min"


@dataclass(frozen=True)
class Entry:
    """One line of the timetable: `job` makes the payload for a day, `why` tells what the hour hangs on."""

    name: str
    days: Days
    hour: Hour
    why: str
    job: Callable[[date], Job]


TIMETABLE = {
    entry.name: entry
    for entry in (
        Entry(
            RefreshData.name,
            Days.EVERY_DAY,
            Hour(time(6)),
            "vendors have corrected the day before, and nobody trades yet",
            lambda _: RefreshData(),
        ),
        Entry(
            BuildFeatures.name,
            Days.EVERY_DAY,
            Hour(time(2)),
            "between two days of trading; builds only what is stale, so that the night has little left to build",
            lambda _: BuildFeatures(),
        ),
        Entry(
            Nightly.name,
            Days.SESSIONS,
            Hour(minutes_after_close=30),
            "the closing auction is settled: 16:30, and 13:30 on half days",
            lambda day: Nightly(as_of=day),
        ),
        Entry(
            WatchDrift.name,
            Days.EVERY_DAY,
            Hour(time(3)),
            "the features are built; a session that was read is not read again",
            lambda _: WatchDrift(),
        ),
        Entry(
            AuditLeaks.name,
            Days.SATURDAYS,
            Hour(time(5)),
            "before the week's training: the gate asks whether this code was probed",
            lambda _: AuditLeaks(),
        ),
        Entry(
            TrainScreener.name,
            Days.SUNDAYS,
            Hour(time(2)),
            "no session waits; does nothing until a new fold or new sessions are there",
            lambda _: TrainScreener(),
        ),
        Entry(
            TrainAllocator.name,
            Days.FIRST_OF_MONTH,
            Hour(time(3)),
            "allocators learn from a month of scores that the screeners gave out of sample",
            lambda _: TrainAllocator(),
        ),
        Entry(
            SyncTracking.name,
            Days.EVERY_DAY,
            Hour(time(4)),
            "training never waits for MLflow; this catches up",
            lambda _: SyncTracking(),
        ),
    )
}

# What is asked for as soon as an entry's job has succeeded, for the same day.
FOLLOWERS: dict[str, tuple[Callable[[date], Job], ...]] = {WatchDrift.name: (lambda _: RespondToDrift(),)}


def entry_named(name: str) -> Entry:
    """The entry. UnknownName with the list where there is none."""
    if name not in TIMETABLE:
        raise UnknownName("schedule", name, list(TIMETABLE))
    return TIMETABLE[name]


def followers_of(name: str, day: date) -> list[Job]:
    """The jobs that follow a day's job of the timetable once it has succeeded."""
    return [make(day) for make in FOLLOWERS.get(name, ())]


def due_at(entry: Entry, day: date) -> datetime | None:
    """When the entry is due on a New York day, in UTC; None where it is not.

    An hour that a change to summer time leaves out is taken as the hour after it; of one that comes twice, the first.
    """
    if not _falls_on(entry.days, day):
        return None
    if entry.hour.at is None:
        return session_close(day).astimezone(UTC) + timedelta(minutes=entry.hour.minutes_after_close or 0)
    return datetime.combine(day, entry.hour.at, NEW_YORK).astimezone(UTC)


def latest_due(entry: Entry, now: datetime) -> tuple[date, datetime] | None:
    """The newest day on which the entry was due by now, and when; None where it was not within a year."""
    today = now.astimezone(NEW_YORK).date()
    for back in range(LOOK_BACK_DAYS):
        day = today - timedelta(days=back)
        moment = due_at(entry, day)
        if moment is not None and moment <= now:
            return day, moment
    return None


def next_due(entry: Entry, now: datetime) -> tuple[date, datetime]:
    """The day on which the entry is due next after now, and when."""
    today = now.astimezone(NEW_YORK).date()
    for ahead in range(LOOK_BACK_DAYS):
        day = today + timedelta(days=ahead)
        moment = due_at(entry, day)
        if moment is not None and moment > now:
            return day, moment
    raise AssertionError(f"{entry.name} is never due")


def _falls_on(days: Days, day: date) -> bool:
    if days is Days.SESSIONS:
        return is_session(day)
    if days is Days.SATURDAYS:
        return day.weekday() == _SATURDAY
    if days is Days.SUNDAYS:
        return day.weekday() == _SUNDAY
    return days is Days.EVERY_DAY or day.day == 1
