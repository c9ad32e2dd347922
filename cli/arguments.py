"""Arguments that several commands share, parsed with one clear message when they are wrong."""

from datetime import date
from getpass import getuser
from typing import Annotated

import typer

from core.errors import InputError, UnknownName
from strategies.library import STRATEGIES

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def parse_date(value: str, option: str) -> date:
    """An ISO date, or a message that names the option."""
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise InputError(f"{option} is {value!r}: give a date as YYYY-MM-DD, for instance 2017-06-30") from error


def parse_strategy(value: str) -> str:
    """The full name of a strategy; `growth` is taken for `growth_largecap`."""
    for name in (value, f"{value}_largecap"):
        if name in STRATEGIES:
            return name
    raise UnknownName("strategy", value, list(STRATEGIES))


def parse_strategies(value: str | None) -> list[str]:
    """A comma-separated list of strategies; None means all."""
    if value is None:
        return list(STRATEGIES)
    return [parse_strategy(name.strip()) for name in value.split(",")]


def parse_years(value: str, option: str) -> list[int]:
    """Years as `2017`, `2016,2017` or `2009-2020`."""
    try:
        first, dash, last = value.partition("-")
        years = list(range(int(first), int(last) + 1)) if dash else [int(year) for year in value.split(",")]
    except ValueError as error:
        raise InputError(f"{option} is {value!r}: give years as 2017, 2016,2017 or 2009-2020") from error
    if not years or not all(1990 <= year <= 2100 for year in years):
        raise InputError(f"{option} is {value!r}: years lie between 1990 and 2100 and run upwards")
    return years


def asker() -> str:
    """Who asks, as rows and the audit trail name whoever sits at the terminal."""
    return f"{getuser()} at the command line"
