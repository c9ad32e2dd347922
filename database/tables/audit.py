"""Who changed or saw what: append-only, and linked row to row so that no later hand goes unseen."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class AuditRecord(Base):
    """One change with the state before and after it, or (action `look`) one look at client data."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_subject_subject_id", "subject", "subject_id"),
        Index("ix_audit_actor_at", "actor", "at"),
        Index("ix_audit_at", "at"),
    )

    audit_id: Mapped[Id]
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(254))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(64))
    subject_id: Mapped[str] = mapped_column(String(64))
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    request_id: Mapped[str | None] = mapped_column(String(64))
    address: Mapped[str | None] = mapped_column(String(64))


class AuditSeal(Base):
    """The link of one audit row to the row sealed before it. Rows are sealed in order, shortly after their commit.

    `hash` is SHA-256 over `previous_hash`, `seal_id` and the row's canonical text. Sealing apart from appending keeps
    writers from waiting for one another; a row that was committed late is sealed late, never skipped.
    """

    __tablename__ = "audit_seals"

    seal_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    audit_id: Mapped[int] = mapped_column(ForeignKey("audit.audit_id"), unique=True)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    sealed_at: Mapped[CreatedAt]
