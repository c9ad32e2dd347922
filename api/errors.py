"""Errors as RFC 9457 problem details: a stable code, a sentence that helps, never a trace."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from core.errors import AcisError, NotSignedIn, TooMany
from core.log import current_request_id, get_logger
from database.session import DatabaseError

MEDIA_TYPE = "application/problem+json"
_SHOWN_ERRORS_MAX = 20
_log = get_logger("api")


def problem(
    status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, errors: list[Any] | None = None
) -> JSONResponse:
    """One problem: `type` names the code's page, `errors` the fields where several are wrong."""
    body: dict[str, Any] = {
        "type": f"urn:acis:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": current_request_id(),
    }
    if errors is not None:
        body["errors"] = errors
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def on_our_error(_: Request, error: Exception) -> JSONResponse:
    """An error of our tree: its own status, code and sentence; what is broken on our side is logged, not told."""
    assert isinstance(error, AcisError)
    headers: dict[str, str] = {}
    if isinstance(error, NotSignedIn):
        headers["WWW-Authenticate"] = 'Bearer realm="acis"'
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(error.retry_after_s)
    if error.http_status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("broken", error=str(error), kind=type(error).__name__)
    return problem(error.http_status, error.code, str(error), headers=headers)


def on_invalid(_: Request, error: Exception) -> JSONResponse:
    """A request that does not fit its schema: the first field, its value and the remedy in one sentence, all below."""
    assert isinstance(error, RequestValidationError)
    found = [
        {
            "field": ".".join(str(part) for part in one["loc"][1:]) or str(one["loc"][0]),
            "in": one["loc"][0],
            "remedy": one["msg"],
        }
        for one in error.errors()[:_SHOWN_ERRORS_MAX]
    ]
    first = found[0]
    more = f" ({len(error.errors())} fields are wrong)" if len(found) > 1 else ""
    return problem(422, "input", f"{first['in']} field {first['field']}: {first['remedy']}{more}", errors=found)


def on_http(_: Request, error: Exception) -> JSONResponse:
    """What the framework refuses by itself: no such path, no such method."""
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return problem(error.status_code, code, str(error.detail), headers=dict(error.headers or {}))


def on_database(_: Request, error: Exception) -> JSONResponse:
    """The database refused or went away: logged whole, told in one sentence."""
    _log.error("database", error=str(error), kind=type(error).__name__)
    return problem(
        503, "unreachable", "the database does not answer: try again in a moment", headers={"Retry-After": "2"}
    )


def on_anything(_: Request, error: Exception) -> JSONResponse:
    """A fault of ours that nobody foresaw."""
    _log.error("fault", exc_info=error)
    return problem(500, "internal", "something of ours is broken; it is in the log under this request's number")


def install(app: FastAPI) -> None:
    """Give the application its one form of error."""
    app.add_exception_handler(AcisError, on_our_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(DatabaseError, on_database)
    app.add_exception_handler(Exception, on_anything)
