"""Machines' keys: a secret that acts as its user, with that user's permissions or some of them, until it is revoked."""

import secrets
from collections.abc import Collection
from datetime import timedelta
from hashlib import sha256

from auth.actor import Actor
from auth.audit import record
from auth.roles import PERMISSIONS, permissions_of
from core.clock import now
from core.errors import InputError, NotFound, NotSignedIn, Refused, UnknownName
from database.queries import api_keys as queries
from database.queries.users import get_user
from database.session import Session
from database.tables.api_keys import ApiKey
from database.tables.users import User

KEY_PREFIX = "acis_"
DAYS_MAX = 3650
_SHOWN_CHARACTERS = 8
_USE_IS_NOTED_EVERY = timedelta(minutes=1)


def make_key(
    session: Session,
    *,
    user_id: int,
    name: str,
    permissions: Collection[str] | None,
    days: int | None,
    actor: Actor,
) -> tuple[ApiKey, str]:
    """A new key and its row; the key is shown now and never again. `permissions` None: all that the user has.

    A key acts as its user, so there are keys for machines and for oneself only: Refused for another person.
    """
    owner = get_user(session, user_id=user_id)
    if owner is None:
        raise NotFound("user", user_id)
    _require_own_or_machine(owner, actor)
    if not name.strip():
        raise InputError("name is empty: say what the key is for")
    if permissions is not None:
        _require_subset(permissions, owner.role)
    shown = f"{KEY_PREFIX}{secrets.token_hex(_SHOWN_CHARACTERS // 2)}"
    key = f"{shown}_{secrets.token_urlsafe(32)}"
    at = now()
    row = ApiKey(
        user_id=user_id,
        name=name.strip(),
        prefix=shown,
        key_hash=_hash(key),
        permissions=None if permissions is None else sorted(set(permissions)),
        created_by=actor.user_id,
        created_at=at,
        expires_at=None if days is None else at + timedelta(days=days),
    )
    queries.add_key(session, row)
    _record(session, actor, "add", row)
    return row, key


def revoke_key(session: Session, *, user_id: int, api_key_id: int, actor: Actor) -> None:
    """Let a key count no longer, from this moment. NotFound where the user has no such key in use."""
    row = queries.revoke_key(session, user_id=user_id, api_key_id=api_key_id, at=now())
    if row is None:
        raise NotFound("key", api_key_id)
    _record(session, actor, "revoke", row)


def find_actor(session: Session, key: str) -> Actor:
    """Whom a key acts as. NotSignedIn for a key that is unknown, revoked or past its date, and for one of nobody."""
    found, at = queries.find_key(session, key_hash=_hash(key)), now()
    if found is None or not _counts(*found):
        raise NotSignedIn("the key is unknown, revoked or past its date: ask an admin for a new one")
    row, user = found
    queries.touch_key(session, api_key_id=row.api_key_id, at=at, unless_since=at - _USE_IS_NOTED_EVERY)
    allowed = permissions_of(user.role)
    return Actor(
        user_id=user.user_id,
        email=user.email,
        role=user.role,
        epoch=user.epoch,
        via="key",
        permissions=allowed if row.permissions is None else allowed & frozenset(row.permissions),
        api_key_id=row.api_key_id,
    )


def _counts(row: ApiKey, user: User) -> bool:
    is_current = row.revoked_at is None and (row.expires_at is None or row.expires_at > now())
    return is_current and user.disabled_at is None


def _require_own_or_machine(owner: User, actor: Actor) -> None:
    if owner.role != "service" and owner.user_id != actor.user_id:
        raise Refused(
            f"{owner.email} is a person, and a key would act in their name: make one for a user of role service"
        )
    if owner.disabled_at is not None:
        raise Refused(f"{owner.email} is disabled: enable them first")


def _require_subset(permissions: Collection[str], role: str) -> None:
    for permission in permissions:
        if permission not in PERMISSIONS:
            raise UnknownName("permission", permission, list(PERMISSIONS))
    beyond = sorted(set(permissions) - permissions_of(role))
    if beyond:
        raise InputError(f"permissions name {', '.join(beyond)}, which the role {role} does not have: leave them out")
    if not permissions:
        raise InputError("permissions is empty: name some, or leave it out for all that the user has")


def _record(session: Session, actor: Actor, action: str, row: ApiKey) -> None:
    after = {"key": row.prefix, "name": row.name, "permissions": row.permissions, "expires_at": row.expires_at}
    record(session, actor=actor.email, action=action, subject="api key", subject_id=row.api_key_id, after=after)


def _hash(key: str) -> str:
    """The key's random part has 256 bits: a plain hash cannot be searched."""
    return sha256(key.encode()).hexdigest()
