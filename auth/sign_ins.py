"""Sign-ins: a chain of refresh tokens each, of which one at a time may be changed for the next.

The next token is derived from the one before it with the firm's secret. Whoever brings the same token at the same time
(twenty tabs, a repeat after a lost answer) gets the same next one, so the chain never forks: a thief and the owner of a
stolen token hold the same, and as soon as both have used it, more than GRACE apart, the sign-in ends for both.
"""

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from auth.audit import record
from auth.tokens import ACCESS_LASTS, csrf_token, derivations, make_access_token
from core.clock import now
from core.errors import NotSignedIn
from database.queries import sign_ins as queries
from database.queries.users import get_user
from database.session import Session
from database.tables.sign_ins import RefreshToken, SignIn
from database.tables.users import User

GRACE = timedelta(seconds=30)
REFRESH_LASTS = timedelta(hours=12)
SIGN_IN_LASTS = timedelta(hours=24)
_USER_AGENT_MAX, _ADDRESS_MAX = 200, 64


@dataclass(frozen=True)
class Place:
    """From where somebody signs in, as they say."""

    address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True)
class Tokens:
    """What a successful sign-in or refresh hands over."""

    user_id: int
    sign_in_id: UUID
    access_token: str
    access_expires_at: datetime
    refresh_token: str
    refresh_expires_at: datetime
    csrf_token: str
    must_change_password: bool


@dataclass(frozen=True)
class Stolen:
    """A refresh token came a second time, long after the first: the sign-in has ended."""

    sign_in_id: UUID


def begin_sign_in(session: Session, user: User, place: Place) -> Tokens:
    """A new sign-in of somebody who has just proved who they are; never one that existed before."""
    at = now()
    sign_in = SignIn(
        sign_in_id=uuid4(),
        user_id=user.user_id,
        user_agent=_printable(place.user_agent, _USER_AGENT_MAX),
        address=_printable(place.address, _ADDRESS_MAX),
        created_at=at,
        last_used_at=at,
        expires_at=at + SIGN_IN_LASTS,
    )
    queries.add_sign_in(session, sign_in)
    user.last_signed_in_at = at
    token = secrets.token_urlsafe(32)
    return _tokens(user, sign_in, token, _issue(session, sign_in, token, at))


def rotate(session: Session, token: str, *, check: Callable[[UUID], None]) -> Tokens | Stolen:
    """Change a refresh token for the next pair. NotSignedIn where it is unknown, too old, or its sign-in has ended.

    `check` is called with the sign-in before anything changes, and raises where the request may not act for it.
    """
    sign_in = queries.lock_sign_in_of(session, token_hash=_hash(token))
    held = queries.get_token(session, token_hash=_hash(token))
    at = now()
    if sign_in is None or held is None or sign_in.revoked_at is not None:
        raise NotSignedIn("the refresh token is unknown or its sign-in has ended: sign in again")
    check(sign_in.sign_in_id)
    if min(held.expires_at, sign_in.expires_at) <= at:
        raise NotSignedIn("the sign-in has lasted its time: sign in again")
    user = get_user(session, user_id=sign_in.user_id)
    if user is None or user.disabled_at is not None:
        raise NotSignedIn("the refresh token is unknown or its sign-in has ended: sign in again")
    if held.used_at is not None and at - held.used_at > GRACE:
        queries.end_sign_in(session, sign_in_id=sign_in.sign_in_id, reason="refresh token used twice", at=at)
        after = {"reason": "refresh token used twice", "sign_in": sign_in.sign_in_id}
        record(session, actor=user.email, action="revoke sign-in", subject="user", subject_id=user.user_id, after=after)
        return Stolen(sign_in.sign_in_id)
    sign_in.last_used_at = at
    token, last = _next(session, sign_in, token, held, at)
    return _tokens(user, sign_in, token, last)


def end_all_sign_ins(session: Session, user: User, *, reason: str) -> int:
    """End every sign-in of somebody, and every token at once; how many went on until now."""
    user.epoch += 1
    return queries.end_sign_ins_of(session, user_id=user.user_id, reason=reason, at=now())


def _next(session: Session, sign_in: SignIn, token: str, held: RefreshToken, at: datetime) -> tuple[str, RefreshToken]:
    """The chain's unused end: a new token after one that was unused, else what others made of it a moment ago."""
    if held.used_at is None:
        held.used_at = at
        queries.drop_expired_tokens(session, sign_in_id=sign_in.sign_in_id, at=at)
        token = _derived(token)[0]
        return token, _issue(session, sign_in, token, at)
    end: RefreshToken | None = held
    while end is not None and end.used_at is not None:
        known = [(one, queries.get_token(session, token_hash=_hash(one))) for one in _derived(token)]
        token, end = next(((one, row) for one, row in known if row is not None), (token, None))
    if end is None:
        raise NotSignedIn("the refresh token was changed under a secret that is gone: sign in again")
    return token, end


def _issue(session: Session, sign_in: SignIn, token: str, at: datetime) -> RefreshToken:
    row = RefreshToken(
        token_hash=_hash(token),
        sign_in_id=sign_in.sign_in_id,
        issued_at=at,
        expires_at=min(at + REFRESH_LASTS, sign_in.expires_at),
    )
    queries.add_token(session, row)
    return row


def _tokens(user: User, sign_in: SignIn, token: str, row: RefreshToken) -> Tokens:
    access_token = make_access_token(
        user_id=user.user_id,
        email=user.email,
        role=user.role,
        epoch=user.epoch,
        sign_in_id=sign_in.sign_in_id,
        must_change_password=user.must_change_password,
    )
    return Tokens(
        user_id=user.user_id,
        sign_in_id=sign_in.sign_in_id,
        access_token=access_token,
        access_expires_at=now() + ACCESS_LASTS,
        refresh_token=token,
        refresh_expires_at=row.expires_at,
        csrf_token=csrf_token(sign_in.sign_in_id),
        must_change_password=user.must_change_password,
    )


def _derived(token: str) -> list[str]:
    """What may follow a token, under each secret in use, the newest first."""
    return [urlsafe_b64encode(made).decode().rstrip("=") for made in derivations(f"refresh:{token}")]


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _printable(text: str | None, length: int) -> str | None:
    return None if text is None else "".join(one for one in text if one.isprintable())[:length]
