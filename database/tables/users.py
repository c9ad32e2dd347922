"""The firm's people."""

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class User(Base):
    """Someone who works with the platform."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("role in ('admin', 'advisor', 'analyst', 'viewer', 'service')", name="role"),)

    user_id: Mapped[Id]
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[CreatedAt]
