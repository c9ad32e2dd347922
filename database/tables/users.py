"""The firm's people and machines: who they are, and how they prove it."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt, Id


class User(Base):
    """Someone who works with the platform, or a machine that does.

    Without a password hash nobody can sign in as them. `epoch` rises when every session and token of theirs must end:
    a token of an earlier epoch is refused. The TOTP secret is sealed with the firm's key and the user's id; it counts
    once confirmed. `totp_last_step` is the last time step whose code was used, so that none is used twice.
    """

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("role in ('admin', 'advisor', 'analyst', 'viewer', 'service')", name="role"),)

    user_id: Mapped[Id]
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str | None] = mapped_column(Text)
    password_changed_at: Mapped[datetime | None]
    must_change_password: Mapped[bool] = mapped_column(server_default="false")
    totp_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_confirmed_at: Mapped[datetime | None]
    totp_last_step: Mapped[int | None] = mapped_column(BigInteger)
    epoch: Mapped[int] = mapped_column(Integer, server_default="1")
    last_signed_in_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


class RecoveryCode(Base):
    """A code on paper that stands in for a lost second factor, once."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.user_id"), primary_key=True)
    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    used_at: Mapped[datetime | None]
