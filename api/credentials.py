"""Reads who a request claims to be: a cookie with its CSRF proof, a bearer token, or a machine's key."""

from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from api.cookies import CSRF_COOKIE, session_cookie
from auth.actor import Actor
from auth.service import KEY_PREFIX, actor_of_key
from auth.tokens import is_csrf_token, read_access_token
from core.errors import InputError, NotAllowed, NotSignedIn

CSRF_HEADER = "x-csrf-token"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({"same-origin", "none"})


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
    if "authorization" in request.headers:
        token = _bearer(request)
        if token.startswith(KEY_PREFIX):
            return Credentials(look_up=lambda: actor_of_key(token))
        return Credentials(read_access_token(token, via="bearer"))
    cookie = request.cookies.get(session_cookie())
    if cookie is None:
        raise NotSignedIn("nobody is signed in: get a token at /api/v1/auth/token")
    actor = read_access_token(cookie, via="cookie")
    require_own_page(request, actor.sign_in_id)
    return Credentials(actor)


def read_leaving(request: Request) -> Actor | None:
    """Whose sign-in is to end: a token of any age will do, and None where there is none that is ours."""
    try:
        if "authorization" in request.headers:
            return read_access_token(_bearer(request), via="bearer", at_any_age=True)
        actor = read_access_token(request.cookies.get(session_cookie(), ""), via="cookie", at_any_age=True)
    except NotSignedIn:
        return None
    require_own_page(request, actor.sign_in_id)
    return actor


def read_basic(request: Request) -> tuple[str, str] | None:
    """Address and password of HTTP Basic; None where the request has no such header."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        email, colon, password = b64decode(value.strip(), validate=True).decode().partition(":")
    except ValueError:
        email, colon, password = "", "", ""
    if not (email and colon and password):
        raise InputError("Authorization is not of the form 'Basic BASE64(address:password)': encode both so")
    return email, password


def require_own_page(request: Request, sign_in_id: UUID | None) -> None:
    """Refuse a write, made with a cookie, that another site's page could have made the browser send."""
    if request.method in _READING:
        return
    require_own_site(request)
    sent = request.headers.get(CSRF_HEADER, "")
    kept = request.cookies.get(CSRF_COOKIE, "")
    if not sent or sign_in_id is None or not compare_digest(sent.encode(), kept.encode()):
        raise NotAllowed(
            f"{CSRF_HEADER} is missing or is not the {CSRF_COOKIE} cookie's value: send it with each write"
        )
    if not is_csrf_token(sent, sign_in_id):
        raise NotAllowed(f"{CSRF_HEADER} belongs to another sign-in: load the page again")


def require_own_site(request: Request) -> None:
    """Refuse what a browser says another site's page sends. What sends neither header is no browser of today."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site not in _OWN_SITE:
            raise NotAllowed(f"Sec-Fetch-Site is {site[:40]!r}: writes are taken from the application's own pages only")
        return
    origin = request.headers.get("origin")
    if origin is not None and not _is_own(origin, request):
        raise NotAllowed(f"Origin is {origin[:100]!r}: writes are taken from the application's own pages only")


def _is_own(origin: str, request: Request) -> bool:
    """Whether it is the host that was asked; behind a proxy, the one it says was asked. No page can set either."""
    try:
        host = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    own = {request.headers.get(name, "").lower() for name in ("host", "x-forwarded-host")}
    return host != "" and host in own


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers["authorization"].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotSignedIn("Authorization is not of the form 'Bearer TOKEN': get a token at /api/v1/auth/token")
    return token.strip()
