"""Every run of a job: unique by job, session and book, so the same night twice is one night."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class Run(Base):
    """One run; `steps` holds what each step did and how long it took, `result` what the run answers."""

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint("status in ('running', 'succeeded', 'failed')", name="status"),
        UniqueConstraint("job", "as_of", "book"),
        Index("ix_runs_as_of", "as_of"),
    )

    run_id: Mapped[Id]
    job: Mapped[str] = mapped_column(String(32))
    as_of: Mapped[date]
    book: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(server_default="1")
    error: Mapped[str | None] = mapped_column(Text)
    # json, not jsonb: the order of steps and of an answer's parts is part of what people read.
    steps: Mapped[dict[str, Any]] = mapped_column(JSON)
    result: Mapped[dict[str, Any]] = mapped_column(JSON)
    code_commit: Mapped[str] = mapped_column(String(40))
    started_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]
