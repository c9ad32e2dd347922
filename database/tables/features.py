"""Register of feature snapshots, and the latest cross-section for SQL users."""

from datetime import date
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.dialects.postgresql import REAL
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class FeatureSnapshot(Base):
    """One year of the feature matrix, frozen: a Parquet file named by the hash of its content.

    `input_hash` is the fingerprint of what it was computed from (features' code and data versions).
    """

    __tablename__ = "feature_snapshots"
    __table_args__ = (Index("ix_feature_snapshots_year", "year", "created_at"),)

    snapshot_id: Mapped[Id]
    content_hash: Mapped[str] = mapped_column(String(64), unique=True)
    input_hash: Mapped[str] = mapped_column(String(64), index=True)
    data_vintage: Mapped[dict[str, Any]]
    year: Mapped[int]
    first_on: Mapped[date]
    last_on: Mapped[date]
    rows: Mapped[int] = mapped_column(BigInteger)
    columns: Mapped[list[Any]]
    file_name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[CreatedAt]


class FeatureValue(Base):
    """The newest cross-section in long form; missing values have no row."""

    __tablename__ = "feature_values"

    feature: Mapped[str] = mapped_column(String(64), primary_key=True)
    instrument_id: Mapped[int] = mapped_column(ForeignKey("instruments.instrument_id"), primary_key=True)
    session_on: Mapped[date]
    value: Mapped[float] = mapped_column(REAL)
