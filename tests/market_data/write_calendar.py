"""Writes `market_data/xnys.csv` anew from the exchange_calendars library: after an update of it, or of the exchange.

python -m tests.market_data.write_calendar
"""

import csv
import warnings
from datetime import date, time, timedelta

import exchange_calendars

from market_data.calendars import CLOSES, EXCEPTIONS_FILE, FIRST_ON, LAST_ON, OPENS

NEW_YORK = "America/New_York"


def exceptions() -> dict[date, time | None]:
    """By the library's rules: weekdays without a session (None), and sessions that close at another time than usual."""
    with warnings.catch_warnings():
        # The library calls pandas in ways that pandas 3 announces to change; nothing of that reaches us.
        warnings.simplefilter("ignore", DeprecationWarning)
        calendar = exchange_calendars.get_calendar("XNYS", start=FIRST_ON.isoformat(), end=LAST_ON.isoformat())
    hours = {
        stamp.date(): (opens.tz_convert(NEW_YORK).time(), closes.tz_convert(NEW_YORK).time())
        for stamp, opens, closes in zip(
            calendar.sessions, calendar.schedule["open"], calendar.schedule["close"], strict=True
        )
    }
    assert all(opens == OPENS and day.weekday() < 5 for day, (opens, _) in hours.items())
    days = (FIRST_ON + timedelta(days=number) for number in range((LAST_ON - FIRST_ON).days + 1))
    found: dict[date, time | None] = {}
    for day in days:
        if day in hours and hours[day][1] != CLOSES:
            found[day] = hours[day][1]
        elif day not in hours and day.weekday() < 5:
            found[day] = None
    return found


if __name__ == "__main__":
    with EXCEPTIONS_FILE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["day", "closes"])
        writer.writerows(
            [day.isoformat(), "" if closes is None else closes.isoformat("minutes")]
            for day, closes in exceptions().items()
        )
