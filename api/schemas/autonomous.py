"""Accounts that trade by themselves."""

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from api.schemas.figures import Dollars
from api.schemas.practice import Given, Read, Usd

Mode = Literal["automatic", "paused", "off"]


class AutonomousOut(Read):
    """One account's settings, and what the last night did with it by itself."""

    account_id: int
    account: str
    client_id: int
    client: str
    status: Literal["active", "halted", "closed"]
    mode: Mode
    is_enabled: bool
    paused_at: datetime | None
    paused_reason: str | None
    orders_max: int | None = Field(description="Orders of one night; past it the rest waits. Null: no limit.")
    traded_usd_max: Dollars | None = Field(description="Both sides of one night, at reference prices.")
    changed_at: datetime | None
    approved: int = Field(description="Approved by itself in the last night.")
    waiting: int = Field(description="Proposals of the last night that wait for a person.")
    refused: int = Field(description="Proposals of the last night that a rule refused.")
    traded_usd: Dollars


class AutonomousChange(Given):
    """What is to change; what is left out stays."""

    is_enabled: bool | None = None
    orders_max: int | None = Field(default=None, ge=0, le=100_000)
    traded_usd_max: Usd | None = Field(default=None, ge=0)


class AutonomousOverview(Read):
    """Who is on automatic, when the next night runs, and what stands in its way."""

    automatic: int
    paused: int
    off: int
    last_night_on: date = Field(description="The session that the book has lived to.")
    next_run_at: datetime = Field(description="When the timetable runs the next night.")
    next_night_on: date = Field(description="Its session.")
    engaged_kill_switches: int = Field(description="Of those that the caller sees.")


class NightAsked(Read):
    """A night that was asked for."""

    job_id: int
    as_of: date
