"""Machines' keys."""

from datetime import datetime

from sqlalchemy import or_, select, update

from database.paging import Page, read_page
from database.session import Session
from database.tables.api_keys import ApiKey
from database.tables.users import User

KEY_SORTS = {"created_at": ApiKey.created_at, "name": ApiKey.name, "last_used_at": ApiKey.last_used_at}


def find_key(session: Session, *, key_hash: str) -> tuple[ApiKey, User] | None:
    """The key with this hash, and whom it acts as."""
    query = select(ApiKey, User).join(User, User.user_id == ApiKey.user_id).where(ApiKey.key_hash == key_hash)
    found = session.execute(query).one_or_none()
    return None if found is None else (found[0], found[1])


def touch_key(session: Session, *, api_key_id: int, at: datetime, unless_since: datetime) -> None:
    """Note that a key was used, unless that was noted a moment ago."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < unless_since)
    session.execute(update(ApiKey).where(ApiKey.api_key_id == api_key_id, stale).values(last_used_at=at))


def add_key(session: Session, key: ApiKey) -> ApiKey:
    """Store a new key."""
    session.add(key)
    session.flush()
    return key


def revoke_key(session: Session, *, user_id: int, api_key_id: int, at: datetime) -> ApiKey | None:
    """Revoke a key of this user; None where there is none in use."""
    rules = (ApiKey.api_key_id == api_key_id, ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    return session.scalar(update(ApiKey).where(*rules).values(revoked_at=at).returning(ApiKey))


def keys_page(session: Session, *, user_id: int, sort: str, limit: int, cursor: str | None) -> Page:
    """A user's keys, revoked ones too, one page."""
    query = select(ApiKey).where(ApiKey.user_id == user_id)
    return read_page(session, query, sorts=KEY_SORTS, key=ApiKey.api_key_id, sort=sort, limit=limit, cursor=cursor)
