"""Work that takes longer than an answer may."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.figures import Figure

Status = Literal["queued", "running", "succeeded", "refused", "failed", "cancelled"]


class JobOut(BaseModel):
    """One piece of work, from asked for to done."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "job_id": 42,
                "name": "train-screener",
                "status": "running",
                "percent": "37.50",
                "step": "train growth_largecap",
                "attempt": 1,
                "attempts_max": 3,
                "actor": "ada@firm.example",
                "requested_by": 7,
                "client_id": None,
                "account_id": None,
                "due_on": None,
                "retry_of": None,
                "error": None,
                "is_cancel_asked": False,
                "created_at": "2026-05-04T13:00:00Z",
                "started_at": "2026-05-04T13:00:01Z",
                "finished_at": None,
            }
        },
    )

    job_id: int
    name: str = Field(description="What kind of work.", examples=["nightly", "train-screener"])
    status: Status = Field(
        description="refused: a rule of the platform said no, which is an answer; failed: something broke."
    )
    percent: Figure | None = Field(description="Of the step that is named; null where nobody can tell.")
    step: str | None
    attempt: int = Field(description="How often it was begun.")
    attempts_max: int
    actor: str = Field(description="Who asked for it: an e-mail address, or `timetable`.")
    requested_by: int | None = Field(description="The user who asked for it.")
    client_id: int | None
    account_id: int | None
    due_on: date | None = Field(description="The day of the timetable that it is for.")
    retry_of: int | None = Field(description="The job that it tries again.")
    error: str | None = Field(description="Why it was refused, failed, cancelled or is being tried again.")
    is_cancel_asked: bool = Field(description="Somebody asked for its end; it stops at its next step.")
    created_at: datetime
    started_at: datetime | None = Field(description="When its newest try began.")
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Any) -> "JobOut":
        """From the job's row."""
        return cls.model_validate(row)


class LineOut(BaseModel):
    """One line of a job's log."""

    seq: int = Field(description="The event's number, as in the stream.")
    at: datetime
    level: str
    event: str
    fields: dict[str, Any]


class JobDetailOut(JobOut):
    """The same with what was asked, what it answered, and the end of its log."""

    payload: dict[str, Any]
    result: dict[str, Any] | None
    may_cancel: bool = Field(description="Whether the caller may stop it now.")
    may_retry: bool = Field(description="Whether the caller may try it again now.")
    lines: list[LineOut] = Field(description="The last lines of its log, oldest first.")
    last_seq: int = Field(description="The number of its newest event.")
