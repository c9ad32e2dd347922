"""Holdings that were brought in from a file: first shown, then booked."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class HoldingImport(Base):
    """One file for one account: its rows with their errors, what it would change, and whether it was booked."""

    __tablename__ = "holding_imports"
    __table_args__ = (
        CheckConstraint("status in ('previewed', 'applied', 'undone', 'superseded')", name="status"),
        Index("ix_holding_imports_account_id", "account_id"),
    )

    holding_import_id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.account_id"))
    file_name: Mapped[str] = mapped_column(String(255))
    content_sha256: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    rows: Mapped[list[Any]]
    changes: Mapped[dict[str, Any]]
    created_by: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[CreatedAt]
    applied_at: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]
