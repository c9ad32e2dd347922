"""Errors as RFC 9457 problem details: a stable code, a sentence that helps, never a trace."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from core.errors import AcisError, NotSignedIn, StillAtWork, TooMany, Unreachable
from core.log import current_request_id, get_logger
from database.faults import is_passing
from database.session import DatabaseError, is_bad_value

MEDIA_TYPE = "application/problem+json"
RETRY_S = 2
CHALLENGE = 'Bearer realm="acis"'
_SHOWN_ERRORS_MAX = 20
_HTTP_CODES = {400: "input", 422: "input", 413: "too_large", 429: "too_many"}
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


async def on_our_error(_: Request, error: Exception) -> JSONResponse:
    """An error of our tree: its own status, code and sentence; what is broken on our side is logged, not told."""
    assert isinstance(error, AcisError)
    headers: dict[str, str] = {}
    if isinstance(error, NotSignedIn):
        headers["WWW-Authenticate"] = CHALLENGE
    if isinstance(error, TooMany | StillAtWork):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, Unreachable):
        _log.error("unreachable", error=str(error))
        return unreachable()
    if error.http_status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("broken", error=str(error), kind=type(error).__name__)
        return problem(error.http_status, error.code, _OURS)
    return problem(error.http_status, error.code, str(error), headers=headers)


async def on_invalid(_: Request, error: Exception) -> JSONResponse:
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


async def on_http(_: Request, error: Exception) -> JSONResponse:
    """What the framework or a limit refuses: no such path, no such method, a body that cannot be read."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if error.status_code == HTTPStatus.BAD_REQUEST else error.status_code
    code = _HTTP_CODES.get(status) or HTTPStatus(status).phrase.lower().replace(" ", "_")
    return problem(status, code, str(error.detail), headers=dict(error.headers or {}))


async def on_database(_: Request, error: Exception) -> JSONResponse:
    """What the database refused, by its own kind of refusal: the statement is logged, a sentence is told."""
    assert isinstance(error, DatabaseError)
    state = getattr(error.orig, "sqlstate", None) or ""
    told = [answer for prefix, answer in _REFUSALS if state.startswith(prefix)]
    if told:
        _log.warning("refused by the database", sqlstate=state, error=str(error.orig))
        return problem(*told[0])
    if is_bad_value(error):
        return problem(422, "input", "a value holds what no text can, such as the character zero: leave it out")
    _log.error("database", error=str(error), kind=type(error).__name__)
    if is_passing(error):
        return unreachable("too much is asked of the database just now: try again in a moment")
    return problem(500, "internal", _OURS)


_OURS = "something of ours is broken; it is in the log under this request's number"
# SQLSTATE classes: bad data, broken constraints, no right to the row. Of all else, what passes means: not now.
_REFUSALS = (
    ("22", (422, "input", "a value is out of the range that can be stored: give a smaller one")),
    ("23505", (409, "refused", "there is one like it already: change that one, or give another name or number")),
    ("23503", (409, "refused", "it refers to what is not there, or others refer to it: look at the list again")),
    ("23", (422, "input", "a value is not one of those that may be stored: look at the field's description")),
    ("42501", (403, "not_allowed", "your role may not write this row")),
)


def unreachable(detail: str = "the database does not answer: try again in a moment") -> JSONResponse:
    """What does not answer now, and when to ask again."""
    return problem(503, "unreachable", detail, headers={"Retry-After": str(RETRY_S)})


def fault(error: Exception) -> JSONResponse:
    """A fault of ours that nobody foresaw: whole in the log, told as a number."""
    _log.error("fault", exc_info=error)
    return problem(500, "internal", _OURS)


def install(app: FastAPI) -> None:
    """Give the application its one form of error; what none of these takes, the frame does."""
    app.add_exception_handler(AcisError, on_our_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(DatabaseError, on_database)
