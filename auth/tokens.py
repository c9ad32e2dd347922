"""Access tokens: short-lived, signed, read without a look into the database. Whether their bearer still may is asked
there, at the start of each transaction (`auth.scope.enter`)."""

import hmac
from collections.abc import Mapping
from datetime import timedelta
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any, Literal
from uuid import UUID

import jwt

from auth.actor import Actor
from auth.firm_keys import read_firm_keys
from auth.roles import permissions_of
from core.clock import now
from core.config import get_settings
from core.errors import NotSignedIn

ACCESS_LASTS = timedelta(minutes=10)
_ALGORITHM = "HS256"
_TOKENS_KEPT = 2048


def make_access_token(
    *, user_id: int, email: str, role: str, epoch: int, sign_in_id: UUID | None, must_change_password: bool = False
) -> str:
    """A signed token for somebody who has proved who they are."""
    kid, secret = next(iter(_secrets().items()))
    at = now()
    claims = {
        "sub": str(user_id),
        "email": email,
        "role": role,
        "epoch": epoch,
        "sid": None if sign_in_id is None else str(sign_in_id),
        "iat": at,
        "exp": at + ACCESS_LASTS,
        "iss": "acis",
        "password_due": must_change_password,
    }
    return jwt.encode(claims, secret, algorithm=_ALGORITHM, headers={"kid": kid})


def read_access_token(token: str, *, via: Literal["cookie", "bearer"], at_any_age: bool = False) -> Actor:
    """Who the token says its bearer is. NotSignedIn for one that is forged, damaged, of an unknown key or too old.

    `at_any_age` takes an old one too: enough to end the sign-in that it came from.
    """
    actor, expires_at = _verified(token, via, tuple(_secrets()))
    if expires_at <= now().timestamp() and not at_any_age:
        raise NotSignedIn("the token has expired: refresh it, or sign in again")
    return actor


@lru_cache(maxsize=_TOKENS_KEPT)
def _verified(token: str, via: Literal["cookie", "bearer"], _: tuple[str, ...]) -> tuple[Actor, float]:
    """The bearer and the token's end. A page asks with the same token many times a minute, and a good signature under
    the same keys stays good; a bad one is never kept."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        secret = _secrets().get(kid) if isinstance(kid, str) else None
        if secret is None:
            raise NotSignedIn("the token was signed with a key that is not in use: sign in again")
        # The library reads the machine's clock; ours can be held still, so the date is checked here.
        claims: Mapping[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=[_ALGORITHM],
            issuer="acis",
            options={"require": ["exp", "sub", "iss"], "verify_exp": False, "verify_iat": False},
        )
        role = str(claims["role"])
        actor = Actor(
            user_id=int(claims["sub"]),
            email=str(claims["email"]),
            role=role,
            epoch=int(claims["epoch"]),
            via=via,
            permissions=permissions_of(role),
            sign_in_id=None if claims["sid"] is None else UUID(claims["sid"]),
            must_change_password=claims["password_due"] is True,
        )
        return actor, float(claims["exp"])
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
        raise NotSignedIn("the token cannot be read: sign in again") from error


@cache
def _secrets() -> dict[str, bytes]:
    settings = get_settings()
    return read_firm_keys(settings.token_secrets, setting="ACIS_TOKEN_SECRETS", made_in=settings.token_secret_file)


def csrf_token(sign_in_id: UUID) -> str:
    """The value that a browser must send back with each write: bound to its sign-in, worthless with another."""
    return derivations(f"csrf:{sign_in_id}")[0].hex()


def is_csrf_token(value: str, sign_in_id: UUID) -> bool:
    """Whether the value is the sign-in's, under any secret in use, compared in constant time."""
    return any(hmac.compare_digest(value.encode(), made.hex().encode()) for made in derivations(f"csrf:{sign_in_id}"))


def derivations(text: str) -> list[bytes]:
    """What the text becomes under each secret in use, the newest first; nobody without a secret can tell."""
    return [hmac.new(secret, text.encode(), sha256).digest() for secret in _secrets().values()]
