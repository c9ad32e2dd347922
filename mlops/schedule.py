"""What runs when: one table, in New York time.

The scheduler only sends; it may send twice, late or on a holiday. What keeps a night from running twice is the row
of `runs`, unique by job, session and book, and what keeps a holiday quiet is the exchange's calendar.
"""

from dataclasses import dataclass
from datetime import time
from enum import Enum
from typing import Any

from celery.schedules import crontab

from core.jobs import (
    AuditLeaks,
    BuildFeatures,
    Job,
    Nightly,
    RespondToDrift,
    SyncTracking,
    TrainAllocator,
    TrainScreener,
    WatchDrift,
)


class Days(Enum):
    """On which days of the week, in cron's words. The exchange's holidays are for the job to know."""

    SESSIONS = "mon-fri"
    SATURDAYS = "sat"
    SUNDAYS = "sun"
    MORNINGS_AFTER = "tue-sat"
    EVERY_DAY = "*"


@dataclass(frozen=True)
class Entry:
    """One line of the timetable; `why` tells what the hour hangs on."""

    job: Job
    at: time
    days: Days
    why: str


SCHEDULE = (
    Entry(BuildFeatures(), time(18, 0), Days.SESSIONS, "two hours after the close, when the day's bars are final"),
    Entry(Nightly(), time(18, 30), Days.SESSIONS, "after the features, with the night left to look at its orders"),
    Entry(TrainScreener(), time(6, 0), Days.SATURDAYS, "no session waits; does nothing until a new fold is due"),
    Entry(TrainAllocator(), time(6, 0), Days.SUNDAYS, "after the screeners whose out-of-fold scores it learns from"),
    Entry(AuditLeaks(), time(5, 0), Days.SATURDAYS, "before training: the gate asks whether the code was probed"),
    Entry(WatchDrift(), time(3, 0), Days.MORNINGS_AFTER, "the night is over and its features are final"),
    Entry(RespondToDrift(), time(3, 30), Days.MORNINGS_AFTER, "what drifted is trained anew before the next night"),
    Entry(SyncTracking(), time(4, 0), Days.EVERY_DAY, "training never waits for MLflow; this catches up"),
)


def beat_schedule() -> dict[str, dict[str, Any]]:
    """The table in the words of Celery's scheduler."""
    return {
        entry.job.name: {
            "task": entry.job.name,
            "schedule": crontab(hour=entry.at.hour, minute=entry.at.minute, day_of_week=entry.days.value),
            "kwargs": {"payload": entry.job.model_dump(mode="json")},
        }
        for entry in SCHEDULE
    }
