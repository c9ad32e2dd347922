"""Drift: how far each feature and each model is from what it was, day by day, and whether that is an alarm."""

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class DriftReading(Base):
    """One measure of one subject on one session. `model_version_id` is null for a feature.

    `value` is null where the measure could not be taken; `p_value` is calibrated by permuting whole days, null for
    measures that have none; `threshold` is what `value` is held against.
    """

    __tablename__ = "drift_readings"
    __table_args__ = (
        CheckConstraint("subject_kind in ('feature', 'screener', 'allocator')", name="subject_kind"),
        Index(
            "uq_drift_readings_reading",
            "session_on",
            "subject",
            "measure",
            "model_version_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_drift_readings_subject_session_on", "subject", "session_on"),
    )

    drift_reading_id: Mapped[Id]
    session_on: Mapped[date]
    subject_kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(64))
    model_version_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.model_version_id"), index=True)
    measure: Mapped[str] = mapped_column(String(32))
    value: Mapped[float | None] = mapped_column(DOUBLE_PRECISION)
    threshold: Mapped[float | None] = mapped_column(DOUBLE_PRECISION)
    p_value: Mapped[float | None] = mapped_column(DOUBLE_PRECISION)
    is_alarm: Mapped[bool]
    summary: Mapped[str] = mapped_column(Text)
    created_at: Mapped[CreatedAt]
