"""A stretch of days that a request asks for: both ends, neither upside down nor longer than a chart can show."""

from datetime import date, timedelta
from typing import Annotated, NamedTuple

from fastapi import Path, Query

from core.errors import InputError
from market_data.calendars import FIRST_ON, LAST_ON

FromOn = Annotated[date | None, Query(ge=FIRST_ON, le=LAST_ON, description="First day.")]
ToOn = Annotated[
    date | None,
    Query(ge=FIRST_ON, le=LAST_ON, description="Last day; without it, the newest session that the firm has lived."),
]
SessionOn = Annotated[date, Path(ge=FIRST_ON, le=LAST_ON, examples=["2017-06-30"])]


class Stretch(NamedTuple):
    """Both days belong to it."""

    first_on: date
    last_on: date


def stretch(from_on: date | None, to_on: date, *, usual_days: int, years_max: int) -> Stretch:
    """From `from_on`, or as many days as usual, to `to_on`. InputError for one that is empty or too long."""
    first = from_on or max(to_on - timedelta(days=usual_days), FIRST_ON)
    if to_on < first:
        raise InputError(f"from_on is {first} and to_on is {to_on}: the first must not be later than the last")
    if (to_on - first).days > 366 * years_max:
        raise InputError(f"from_on is {first}, more than {years_max} years before {to_on}: give a later day")
    return Stretch(first, to_on)
