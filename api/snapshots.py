"""Answers about portfolios: named by a version that is read from the rows, kept in Redis, not sent twice.

Order matters: the actor's transaction first (rows that are not theirs do not exist in it), then the version of what
they may see, then the caller's own copy, then the kept one, and only then the work.
"""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

from fastapi import Header
from fastapi.responses import Response
from pydantic import BaseModel

from api import cache
from api.deps import desk
from auth.actor import Actor
from auth.audit import look
from database.session import Session
from portfolios.service import Kind, View, open_view

KEPT_S = 900
_JSON = "application/json"

IfNoneMatch = Annotated[
    str | None,
    Header(max_length=2000, description="ETags that the caller has: where one still holds, the answer is 304."),
]
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"headers": {"ETag": {"schema": {"type": "string"}, "description": "Moves with any booking or new night."}}},
    304: {"description": "What the caller has still holds."},
}


def answer_snapshot(
    actor: Actor,
    *,
    kind: Kind,
    key: int | None,
    as_of: date | None,
    part: str,
    if_none_match: str | None,
    make: Callable[[Session, View], BaseModel],
) -> Response:
    """The `part` of what `kind` and `key` name, as `make` makes it or has made it. NotFound, InputError."""
    with desk(actor) as session:
        view = look_at(session, actor, kind=kind, key=key, as_of=as_of)
        etag = f'W/"{view.version}-{part}"'
        headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
        if holds(if_none_match, etag):
            return Response(status_code=304, headers=headers)
        place = f"acis:portfolio:{view.version}:{part}"
        body = cache.find(place)
        if body is None:
            body = make(session, view).model_dump_json().encode()
            cache.keep(place, body, seconds=KEPT_S)
    return Response(body, media_type=_JSON, headers=headers)


def look_at(session: Session, actor: Actor, *, kind: Kind, key: int | None, as_of: date | None) -> View:
    """What may be seen of it, with the look recorded."""
    view = open_view(session, kind=kind, key=key, as_of=as_of)
    if key is not None:
        look(session, actor=actor.email, subject=kind, subject_id=key)
    return view


def holds(if_none_match: str | None, etag: str) -> bool:
    """Weak comparison, as If-None-Match asks for (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return False
    told = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in told or etag.removeprefix("W/") in told
