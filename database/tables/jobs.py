"""Work that was asked for: the row is the truth, whoever carries the message about it."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id

STATUSES = ("queued", "running", "succeeded", "refused", "failed", "cancelled")


class QueuedJob(Base):
    """One piece of work, from asked for to done.

    `refused` is an answer of the platform's rules and final, `failed` a fault that may be tried again. A job of the
    timetable carries the day that it is for in `due_on`, once per name. A running job's `heartbeat_at` is renewed by
    its process; one that has gone stale is queued again until `attempts_max`. A job that tells of clients carries
    `client_id` or `account_id`, and `is_private` where it tells of any; others may be seen by all who may see jobs.
    `event_count` numbers the job's events without a gap. A job that is tried again waits until `not_before_at`.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(
            "status in ('queued', 'running', 'succeeded', 'refused', 'failed', 'cancelled')", name="status"
        ),
        CheckConstraint("percent between 0 and 100", name="percent"),
        CheckConstraint("(status in ('queued', 'running')) = (finished_at is null)", name="finished"),
        UniqueConstraint("name", "due_on"),
        Index("ix_jobs_open", "created_at", postgresql_where="status in ('queued', 'running')"),
        Index("ix_jobs_requested_by", "requested_by"),
        Index("ix_jobs_account_id", "account_id"),
        Index("ix_jobs_client_id", "client_id"),
        Index("ix_jobs_name_created_at", "name", "created_at"),
    )

    job_id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(32))
    payload: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(16), server_default="queued")
    due_on: Mapped[date | None]
    requested_by: Mapped[int | None] = mapped_column(ForeignKey("users.user_id"))
    actor: Mapped[str] = mapped_column(String(254))
    client_id: Mapped[int | None] = mapped_column(ForeignKey("clients.client_id"))
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.account_id"))
    is_private: Mapped[bool] = mapped_column(server_default="false")
    attempt: Mapped[int] = mapped_column(Integer, server_default="0")
    attempts_max: Mapped[int] = mapped_column(Integer, server_default="3")
    worker: Mapped[str | None] = mapped_column(String(100))
    percent: Mapped[Decimal | None] = mapped_column(Numeric(5, 2))
    step: Mapped[str | None] = mapped_column(String(200))
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error: Mapped[str | None] = mapped_column(Text)
    retry_of: Mapped[int | None] = mapped_column(ForeignKey("jobs.job_id"), index=True)
    event_count: Mapped[int] = mapped_column(Integer, server_default="0")
    request_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[CreatedAt]
    not_before_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    cancel_asked_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    @property
    def is_cancel_asked(self) -> bool:
        """Whether somebody asked for its end."""
        return self.cancel_asked_at is not None


class JobEvent(Base):
    """Something a job told: a change of status, progress, or a line of its log. `seq` runs from 1 without a gap."""

    __tablename__ = "job_events"
    __table_args__ = (
        CheckConstraint("kind in ('status', 'progress', 'log')", name="kind"),
        Index("ix_job_events_event_id", "event_id"),
    )

    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.job_id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    event_id: Mapped[int] = mapped_column(BigInteger, Identity())
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(16))
    body: Mapped[dict[str, Any]]


class TimetableEntry(Base):
    """Since when an entry of the timetable is known: what was due before was not missed."""

    __tablename__ = "timetable_entries"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    known_since_at: Mapped[datetime]


class Heartbeat(Base):
    """The last sign of life of a process that everybody depends on, by what it is."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    worker: Mapped[str] = mapped_column(String(100))
    at: Mapped[datetime]
