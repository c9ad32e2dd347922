"""What runs when."""

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.jobs import JobOut


class ScheduleOut(BaseModel):
    """One line of the timetable."""

    name: str = Field(examples=["nightly"])
    days: str = Field(examples=["trading sessions"])
    hour: str = Field(description="New York time.", examples=["close + 30 min", "06:00"])
    why: str = Field(description="What the hour hangs on.")
    takes_as_of: bool = Field(description="Whether it can be run by hand for a given session.")
    next_on: date
    next_at: datetime
    last: JobOut | None = Field(description="The newest job of this name, however it came to be asked for.")


class ScheduleRun(BaseModel):
    """A run by hand."""

    model_config = ConfigDict(extra="forbid")

    as_of: date | None = Field(default=None, description="The session to do it for; without it, as the timetable does.")
