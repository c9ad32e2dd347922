"""Answers already given, by caller and key."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert

from database.session import Session
from database.tables.idempotency import IdempotencyKey


def take_key(session: Session, *, user_id: int, key: str, fingerprint: str) -> IdempotencyKey | None:
    """Take the key for this transaction's work; None where it was taken now, else what it stood for.

    While another transaction works under the key this waits for its end: committed, its answer comes back; rolled
    back, the key is ours.
    """
    taken = session.scalar(
        insert(IdempotencyKey)
        .values(user_id=user_id, key=key, fingerprint=fingerprint)
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    return None if taken is not None else session.get_one(IdempotencyKey, (user_id, key))


def keep_answer(session: Session, *, user_id: int, key: str, status: int, headers: dict[str, Any], body: bytes) -> None:
    """Store the answer beside the effect that it tells of."""
    session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.user_id == user_id, IdempotencyKey.key == key)
        .values(status=status, headers=headers, body=body)
    )


def delete_old_keys(session: Session, *, before: datetime) -> None:
    """Forget keys of long ago: whoever repeats a request after days means a new one."""
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < before))
