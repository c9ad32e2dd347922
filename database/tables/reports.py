"""What is handed to a client."""

from datetime import date
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class Report(Base):
    """A report on a client over a period, as figures and as a page that can be printed; filled in by its job."""

    __tablename__ = "reports"
    __table_args__ = (Index("ix_reports_client_id", "client_id"),)

    report_id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.client_id"))
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.job_id"), unique=True)
    from_on: Mapped[date]
    to_on: Mapped[date]
    content: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    page: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[CreatedAt]
