"""The firm's people."""

from datetime import date
from uuid import UUID

from sqlalchemy import func, select, text

from database.session import Session
from database.tables.users import User


def find_user(session: Session, *, email: str) -> User | None:
    """The person with this address, however it is written."""
    return session.scalar(select(User).where(func.lower(User.email) == email.strip().lower()))


def all_users(session: Session) -> list[User]:
    """Everybody, by address."""
    return list(session.scalars(select(User).order_by(User.email)))


def add_user(session: Session, user: User) -> User:
    """Store somebody new."""
    session.add(user)
    session.flush()
    return user


def enter(
    session: Session,
    *,
    user_id: int,
    epoch: int,
    sign_in_id: UUID | None,
    api_key_id: int | None,
    sees: str,
    on: date,
) -> str | None:
    """Tell the transaction's policies who acts, in one round trip; the user's role, None where they may no longer."""
    role: str | None = session.scalar(
        text("""
            select u.role from users u,
                lateral (select set_config('acis.user_id', u.user_id::text, true),
                                set_config('acis.sees', :sees, true),
                                set_config('acis.on', :on, true)) as told
            where u.user_id = :user_id and u.epoch = :epoch and u.disabled_at is null
              and (cast(:sign_in_id as uuid) is null or exists (
                    select from sign_ins where sign_in_id = :sign_in_id and revoked_at is null))
              and (cast(:api_key_id as bigint) is null or exists (
                    select from api_keys where api_key_id = :api_key_id and revoked_at is null))
        """),
        {
            "user_id": user_id,
            "epoch": epoch,
            "sign_in_id": sign_in_id,
            "api_key_id": api_key_id,
            "sees": sees,
            "on": on.isoformat(),
        },
    )
    return role
