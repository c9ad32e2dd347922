"""Daily bars, the loads they came in with, and the rows that were refused."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class ImportBatch(Base):
    """One load of one source; `content_sha256` makes a repeated load recognisable."""

    __tablename__ = "import_batches"
    __table_args__ = (
        CheckConstraint("status in ('loading', 'loaded', 'failed')", name="status"),
        UniqueConstraint("source", "content_sha256"),
    )

    batch_id: Mapped[Id]
    source: Mapped[str] = mapped_column(String(64))
    file_name: Mapped[str] = mapped_column(String(255))
    content_sha256: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    rows_read: Mapped[int] = mapped_column(BigInteger, server_default="0")
    rows_inserted: Mapped[int] = mapped_column(BigInteger, server_default="0")
    rows_changed: Mapped[int] = mapped_column(BigInteger, server_default="0")
    rows_unchanged: Mapped[int] = mapped_column(BigInteger, server_default="0")
    rows_quarantined: Mapped[int] = mapped_column(BigInteger, server_default="0")
    started_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]


class DailyBar(Base):
    """One session of one instrument.

    Prices are quotes, that is measurements: double precision (ADR 0003). `close` and the other prices are
    split-adjusted, `adj_close` also dividend-adjusted. Partitioned by year of `session_on`. The foreign key is stated
    but not enforced (migration 0002): checking it would make loads three times as slow. There is no index by session:
    it would halve the speed of loads, and one session is found by its year's partition in a few milliseconds.
    """

    __tablename__ = "daily_bars"
    __table_args__ = ({"postgresql_partition_by": "RANGE (session_on)"},)

    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.instrument_id"), primary_key=True)
    session_on: Mapped[date] = mapped_column(primary_key=True)
    open: Mapped[float] = mapped_column(DOUBLE_PRECISION)
    high: Mapped[float] = mapped_column(DOUBLE_PRECISION)
    low: Mapped[float] = mapped_column(DOUBLE_PRECISION)
    close: Mapped[float] = mapped_column(DOUBLE_PRECISION)
    adj_close: Mapped[float] = mapped_column(DOUBLE_PRECISION)
    volume: Mapped[int] = mapped_column(BigInteger)
    batch_id: Mapped[int] = mapped_column(BigInteger)


class QuarantinedBar(Base):
    """A row that the quality gate refused, as it came, with the reason."""

    __tablename__ = "quarantined_bars"
    __table_args__ = (
        Index("ix_quarantined_bars_reason", "reason"),
        UniqueConstraint("batch_id", "row_number", "reason"),
    )

    quarantine_id: Mapped[Id]
    batch_id: Mapped[int] = mapped_column(ForeignKey("import_batches.batch_id"))
    row_number: Mapped[int] = mapped_column(BigInteger)
    symbol: Mapped[str | None] = mapped_column(String(64))
    session_on: Mapped[str | None] = mapped_column(String(32))
    reason: Mapped[str] = mapped_column(String(64))
    detail: Mapped[str] = mapped_column(Text)
    row: Mapped[dict[str, Any]]


class DataVintage(Base):
    """State of one data set after its last change; `version` rises with each load that altered a row."""

    __tablename__ = "data_vintages"

    dataset: Mapped[str] = mapped_column(String(32), primary_key=True)
    year: Mapped[int] = mapped_column(Integer, primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    changed_at: Mapped[CreatedAt]
