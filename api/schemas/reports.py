"""Reports on clients."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ReportSort = Literal["created_at", "-created_at", "to_on", "-to_on", "client", "-client"]


class ReportIn(BaseModel):
    """The days that a report tells of."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"from_on": "2016-12-30"}})

    from_on: date | None = Field(
        default=None,
        description="The report begins at the close of this day; without it, of the last day of the year before.",
    )
    to_on: date | None = Field(default=None, description="Without it, the newest session that the firm has lived.")


class ReportHead(BaseModel):
    """A report, asked for or made. While it is not ready, its job tells how far it is."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    report_id: int
    client_id: int
    client: str
    job_id: int
    status: str = Field(description="Of its job.", examples=["succeeded"])
    error: str | None
    from_on: date
    to_on: date
    is_ready: bool
    created_by: str
    created_at: datetime


class ReportOut(ReportHead):
    """The report as figures; money is decimal text. `content` is null until it is ready."""

    content: dict[str, Any] | None
