"""The cookies of a browser's sign-in: which, how guarded, and how they go away."""

from fastapi import Request
from fastapi.responses import Response

from auth.sign_ins import Tokens
from core.clock import now
from core.config import get_settings

# Read by the application's own pages, and bound to the sign-in by what it says.
CSRF_COOKIE = "csrftoken"


def session_cookie() -> str:
    """Name of the cookie with the access token; over TLS one that no other host can set."""
    return "__Host-session" if get_settings().cookies_are_secure else "session"


def refresh_cookie() -> str:
    """Name of the cookie with the refresh token, which is sent to the one route that takes it."""
    return "__Secure-refresh" if get_settings().cookies_are_secure else "refresh"


def set_cookies(request: Request, response: Response, tokens: Tokens) -> None:
    """Hand the tokens to a browser.

    The session's cookie outlives its ten minutes: a page that finds it knows that a refresh is worth asking for.
    """
    lasts_s = int((tokens.refresh_expires_at - now()).total_seconds())
    secure = get_settings().cookies_are_secure
    response.set_cookie(
        session_cookie(), tokens.access_token, max_age=lasts_s, httponly=True, samesite="lax", secure=secure
    )
    response.set_cookie(
        refresh_cookie(),
        tokens.refresh_token,
        max_age=lasts_s,
        path=_refresh_path(request),
        httponly=True,
        samesite="strict",
        secure=secure,
    )
    response.set_cookie(CSRF_COOKIE, tokens.csrf_token, max_age=lasts_s, samesite="lax", secure=secure)


def clear_cookies(request: Request, response: Response) -> None:
    """Take all of them back."""
    secure = get_settings().cookies_are_secure
    response.delete_cookie(session_cookie(), httponly=True, samesite="lax", secure=secure)
    response.delete_cookie(
        refresh_cookie(), path=_refresh_path(request), httponly=True, samesite="strict", secure=secure
    )
    response.delete_cookie(CSRF_COOKIE, samesite="lax", secure=secure)


def _refresh_path(request: Request) -> str:
    return str(request.app.url_path_for("refresh_sign_in"))
