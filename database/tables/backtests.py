"""Back-tests and replays that people asked for, with what came out."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class Backtest(Base):
    """One run: what was asked, and once its job is done its measures, daily series and trades. Always hypothetical."""

    __tablename__ = "backtests"
    __table_args__ = (Index("ix_backtests_created_at", "created_at"),)

    backtest_id: Mapped[Id]
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.job_id"), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    parameters: Mapped[dict[str, Any]]
    measures: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    series: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    trades: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_by: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[CreatedAt]
    archived_at: Mapped[datetime | None]
