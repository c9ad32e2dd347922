"""Runs of the leak probes over the code as it is."""

from datetime import date
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class LeakAudit(Base):
    """One run; `code_hash` covers the source of all that was probed, so a verdict on older code is seen as such."""

    __tablename__ = "leak_audits"

    leak_audit_id: Mapped[Id]
    as_of: Mapped[date]
    code_hash: Mapped[str] = mapped_column(String(64), index=True)
    is_clean: Mapped[bool]
    probes: Mapped[list[Any]]
    code_commit: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[CreatedAt]
