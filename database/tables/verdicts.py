"""What the promotion gate said of a model version, and from which evidence."""

from datetime import date
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class GateVerdict(Base):
    """One judgement as of a date; `checks` holds each check's value, bar and sentence. The newest one counts."""

    __tablename__ = "gate_verdicts"
    __table_args__ = (
        CheckConstraint("verdict in ('pass', 'fail', 'not_proven')", name="verdict"),
        UniqueConstraint("model_version_id", "as_of", "evidence_hash"),
    )

    verdict_id: Mapped[Id]
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.model_version_id"), index=True)
    as_of: Mapped[date]
    verdict: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    checks: Mapped[list[Any]]
    evidence: Mapped[dict[str, Any]]
    evidence_hash: Mapped[str] = mapped_column(String(64))
    trials: Mapped[int]
    code_commit: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[CreatedAt]
