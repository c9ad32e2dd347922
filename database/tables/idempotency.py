"""Answers already given, so that a repeated request gets the same one and no second effect."""

from typing import Any

from sqlalchemy import ForeignKey, LargeBinary, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAt


class IdempotencyKey(Base):
    """A caller's key with what it stood for (SHA-256 of method, path and body) and the answer it got.

    Written in the transaction of the effect itself, so neither exists without the other; whoever comes second with the
    key waits for that transaction's end.
    """

    __tablename__ = "idempotency_keys"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.user_id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None] = mapped_column(SmallInteger)
    headers: Mapped[dict[str, Any] | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
