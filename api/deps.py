"""What every route asks for: who acts, in whose rows, which page, as of when."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from api.credentials import read_credentials
from auth.actor import Actor
from auth.roles import PERMISSIONS
from auth.scope import enter
from core.errors import NotAllowed
from core.log import bind_log
from database.session import Session, limited_transaction

PUBLIC = "public"
PAGE_ROWS_MAX = 500


class Needs:
    """The permission that a route declares; as a dependency it answers with who acts, or refuses."""

    def __init__(self, permission: str) -> None:
        if permission not in PERMISSIONS:
            raise ValueError(f"no permission is called {permission!r}: add a row to auth/roles.py")
        self.permission = permission

    async def __call__(self, request: Request) -> Actor:
        """Who acts. NotSignedIn without a good token, NotAllowed where the role or key lacks the permission."""
        credentials = read_credentials(request)
        actor = await credentials.resolve()
        bind_log(user_id=actor.user_id)
        request.state.actor = actor
        if not actor.may(self.permission):
            roles = ", ".join(sorted(PERMISSIONS[self.permission]))
            raise NotAllowed(f"the role {actor.role} has no right {self.permission}: ask somebody who is {roles}")
        return actor


class Public:
    """Declares that a route is for everybody, so that none is open by oversight."""

    async def __call__(self) -> None:
        """Nothing is asked."""


def needs(permission: str) -> Any:
    """`actor: Actor = needs("clients.read")`: who acts, if they may."""
    return Depends(Needs(permission))


def public() -> Any:
    """`dependencies=[public()]`: a route that asks for nobody."""
    return Depends(Public())


@contextmanager
def desk(actor: Actor) -> Iterator[Session]:
    """The actor's transaction: sees and writes only the rows that are theirs to see."""
    with limited_transaction() as session:
        enter(session, actor)
        yield session


Limit = Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX, description="Rows of a page.")]
Cursor = Annotated[
    str | None,
    Query(max_length=1000, description="`next` of the page before; the other parameters must stay the same."),
]
Search = Annotated[str | None, Query(max_length=100, description="Part of a name, in any case.")]
AsOf = Annotated[
    date | None, Query(description="As known on this session; without it, on the newest that the firm has lived.")
]
