"""The firm's people."""

from collections.abc import Iterable
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, text, update

from database.paging import Page, read_page
from database.session import Session
from database.tables.users import RecoveryCode, User

STATES = ("active", "disabled", "no_password")
_STATE_RULES: dict[str, ColumnElement[bool]] = {
    "active": User.disabled_at.is_(None) & User.password_hash.is_not(None),
    "disabled": User.disabled_at.is_not(None),
    "no_password": User.disabled_at.is_(None) & User.password_hash.is_(None),
}
USER_SORTS = {
    "email": User.email,
    "name": User.name,
    "role": User.role,
    "last_signed_in_at": User.last_signed_in_at,
    "created_at": User.created_at,
}


def find_user(session: Session, *, email: str) -> User | None:
    """The person with this address, however it is written."""
    return session.scalar(select(User).where(func.lower(User.email) == email.strip().lower()))


def get_user(session: Session, *, user_id: int, locked: bool = False) -> User | None:
    """The person with this number; `locked` holds the row, as it is now, until the transaction ends."""
    return session.get(User, user_id, with_for_update=locked or None, populate_existing=locked)


def all_users(session: Session) -> list[User]:
    """Everybody, by address."""
    return list(session.scalars(select(User).order_by(User.email)))


def users_page(
    session: Session,
    *,
    search: str | None,
    role: str | None,
    state: str | None,
    sort: str,
    limit: int,
    cursor: str | None,
) -> Page:
    """One page of people; `search` is part of a name or address."""
    query = select(User)
    if search is not None:
        query = query.where(or_(*(column.icontains(search, autoescape=True) for column in (User.name, User.email))))
    if role is not None:
        query = query.where(User.role == role)
    if state is not None:
        query = query.where(_STATE_RULES[state])
    return read_page(session, query, sorts=USER_SORTS, key=User.user_id, sort=sort, limit=limit, cursor=cursor)


def add_user(session: Session, user: User) -> User:
    """Store somebody new."""
    session.add(user)
    session.flush()
    return user


def lock_admins(session: Session) -> list[int]:
    """Numbers of the admins who are not disabled; nobody else counts or changes them until the transaction ends."""
    rule = (User.role == "admin") & User.disabled_at.is_(None)
    return list(session.scalars(select(User.user_id).where(rule).order_by(User.user_id).with_for_update()))


def sealed_secrets(session: Session) -> list[User]:
    """Everybody whose second factor is kept, confirmed or not, locked."""
    return list(session.scalars(select(User).where(User.totp_secret.is_not(None)).with_for_update()))


def take_totp_step(session: Session, *, user_id: int, step: int) -> bool:
    """Claim a time step's code for one use; False where it or a later one was used already."""
    later = (User.totp_last_step.is_(None)) | (User.totp_last_step < step)
    claimed = session.execute(
        update(User).where(User.user_id == user_id, later).values(totp_last_step=step).returning(User.user_id)
    )
    return claimed.first() is not None


def replace_recovery_codes(session: Session, *, user_id: int, hashes: Iterable[str]) -> None:
    """Put new codes in the place of all that were."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    rows = [{"user_id": user_id, "code_hash": one} for one in hashes]
    if rows:
        session.execute(insert(RecoveryCode), rows)


def take_recovery_code(session: Session, *, user_id: int, code_hash: str, at: datetime) -> bool:
    """Use a code up; False where it is none of theirs or was used."""
    taken = session.execute(
        update(RecoveryCode)
        .where(RecoveryCode.user_id == user_id, RecoveryCode.code_hash == code_hash, RecoveryCode.used_at.is_(None))
        .values(used_at=at)
        .returning(RecoveryCode.user_id)
    )
    return taken.first() is not None


def count_recovery_codes(session: Session, *, user_id: int) -> int:
    """How many codes are left."""
    left = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return session.scalar(left) or 0


_ENTER = text("""
    select u.role from users u,
        lateral (select set_config('acis.user_id', u.user_id::text, true),
                        set_config('acis.sees', :sees, true),
                        set_config('acis.on', :on, true)) as told
    where u.user_id = :user_id and u.epoch = :epoch and u.disabled_at is null
      and (cast(:sign_in_id as uuid) is null or exists (
            select from sign_ins where sign_in_id = :sign_in_id and revoked_at is null))
      and (cast(:api_key_id as bigint) is null or exists (
            select from api_keys where api_key_id = :api_key_id and revoked_at is null))
""")


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
        _ENTER,
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
