"""Trained models of each fold: what they are, when they were valid, where they lie."""

from datetime import date
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class ModelVersion(Base):
    """One fold of one model. It may serve sessions in [valid_from_on, valid_to_on); it saw labels that ended
    before `valid_from_on` only. `trial_id` is the configuration that it is a fold of."""

    __tablename__ = "model_versions"
    __table_args__ = (
        CheckConstraint("kind in ('screener', 'allocator')", name="kind"),
        CheckConstraint("last_label_on < valid_from_on", name="no_look_ahead"),
        CheckConstraint("valid_to_on > valid_from_on", name="validity"),
        UniqueConstraint("name", "version"),
        Index("ix_model_versions_name_valid_from_on", "name", "valid_from_on"),
    )

    model_version_id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    strategy: Mapped[str] = mapped_column(String(32))
    algorithm: Mapped[str] = mapped_column(String(16))
    trial_id: Mapped[int | None] = mapped_column(ForeignKey("trials.trial_id"), index=True)
    train_from_on: Mapped[date]
    train_to_on: Mapped[date]
    last_label_on: Mapped[date]
    valid_from_on: Mapped[date]
    valid_to_on: Mapped[date]
    input_hash: Mapped[str] = mapped_column(String(64), index=True)
    feature_hash: Mapped[str] = mapped_column(String(64))
    artefact_dir: Mapped[str] = mapped_column(Text)
    artefact_sha256: Mapped[str] = mapped_column(String(64))
    manifest: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]]
    code_commit: Mapped[str] = mapped_column(String(40))
    tracking_run_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[CreatedAt]
