"""What somebody should look at."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class Alert(Base):
    """One thing that went wrong or off; the same subject and text is one open alert that counts its returns."""

    __tablename__ = "alerts"
    __table_args__ = (
        CheckConstraint("severity in ('notice', 'warning', 'critical')", name="severity"),
        Index("uq_alerts_open", "subject", "text", unique=True, postgresql_where="settled_at is null"),
    )

    alert_id: Mapped[Id]
    severity: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(64))
    text: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]]
    times: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[CreatedAt]
    last_at: Mapped[CreatedAt]
    settled_at: Mapped[datetime | None]
