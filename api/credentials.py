"""Reads who a request claims to be: a cookie with its CSRF proof, a bearer token, or a machine's key."""

from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from auth.actor import Actor
from auth.service import KEY_PREFIX, actor_of_key
from auth.tokens import is_csrf_token, read_access_token
from core.errors import NotAllowed, NotSignedIn

SESSION_COOKIE = "session"
REFRESH_COOKIE = "refresh"
CSRF_COOKIE = "csrftoken"
CSRF_HEADER = "x-csrf-token"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Credentials:
    """Somebody known from the token alone, or `look_up`: a key whose owner stands in the database."""

    actor: Actor | None = None
    look_up: Callable[[], Actor] | None = None

    async def resolve(self) -> Actor:
        """Who it is."""
        if self.actor is not None:
            return self.actor
        assert self.look_up is not None
        return await run_in_threadpool(self.look_up)


def read_credentials(request: Request) -> Credentials:
    """What the request brings. A header beats a cookie, so a program is never mistaken for its user's browser."""
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise NotSignedIn("Authorization is not of the form 'Bearer TOKEN': get a token at /api/v1/auth/token")
        if token.startswith(KEY_PREFIX):
            return Credentials(look_up=lambda: actor_of_key(token))
        return Credentials(read_access_token(token, via="bearer"))
    cookie = request.cookies.get(SESSION_COOKIE)
    if cookie is None:
        raise NotSignedIn("nobody is signed in: get a token at /api/v1/auth/token")
    actor = read_access_token(cookie, via="cookie")
    require_own_page(request, actor)
    return Credentials(actor)


def require_own_page(request: Request, actor: Actor) -> None:
    """Refuse a write that another site's page could have made the browser send."""
    if request.method in _READING:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in {"same-origin", "none"}:
        raise NotAllowed(f"Sec-Fetch-Site is {site!r}: writes are taken from the application's own pages only")
    sent = request.headers.get(CSRF_HEADER, "")
    kept = request.cookies.get(CSRF_COOKIE, "")
    if not sent or actor.sign_in_id is None or not compare_digest(sent, kept):
        raise NotAllowed(
            f"{CSRF_HEADER} is missing or is not the {CSRF_COOKIE} cookie's value: send it with each write"
        )
    if not is_csrf_token(sent, actor.sign_in_id):
        raise NotAllowed(f"{CSRF_HEADER} belongs to another sign-in: load the page again")
