"""Changes of what the caller has read: an ETag says which state that was, If-Match brings it back."""

from hashlib import sha256
from typing import Annotated, Any

from fastapi import Header, Response

from core.errors import Outdated

IfMatch = Annotated[
    str | None,
    Header(
        max_length=200,
        description="The ETag that was read: where it is another by now, nothing is changed and the answer is 412.",
    ),
]

OUTDATED: dict[int | str, dict[str, Any]] = {412: {"description": "Changed since it was read: nothing was done."}}
"""For the `responses` of a route that takes If-Match."""


def etag_of(*state: Any) -> str:
    """The name of a state."""
    return f'"{sha256(repr(state).encode()).hexdigest()[:20]}"'


def tell_etag(response: Response, etag: str) -> None:
    """Let the answer carry it; such answers are for their reader alone."""
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "private, no-cache"


def require_match(if_match: str | None, etag: str, kind: str, key: int) -> None:
    """Outdated where the caller read another state than the one that stands. Without If-Match nothing is asked."""
    if if_match is not None and if_match.strip() != "*":
        told = {one.strip().removeprefix("W/") for one in if_match.split(",")}
        if etag not in told:
            raise Outdated(kind, key)
