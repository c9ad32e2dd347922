"""What every route asks for: who acts, in whose rows, which page, as of when."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from api.credentials import read_credentials
from api.rate import Rates, Standing, admit
from auth.actor import Actor
from auth.roles import PERMISSIONS
from auth.scope import enter
from core.errors import NotAllowed, NotSignedIn, PasswordChangeNeeded
from core.log import bind_log
from database.session import Session, limited_transaction
from market_data.calendars import FIRST_ON, LAST_ON

PUBLIC = "public"
PAGE_ROWS_MAX = 500


class Needs:
    """The permission that a route declares; as a dependency it answers with who acts, or refuses."""

    def __init__(self, permission: str) -> None:
        if permission not in PERMISSIONS:
            raise ValueError(f"no permission is called {permission!r}: add a row to auth/roles.py")
        self.permission = permission

    async def __call__(self, request: Request) -> Actor:
        """Who acts. NotSignedIn without a good token, TooMany, NotAllowed where role or key lacks the permission."""
        rates: Rates = request.app.state.rates
        blocked = rates.blocked(request.state.address)
        if blocked is not None:
            _count(request, blocked)
        try:
            actor = await read_credentials(request).resolve()
        except NotSignedIn:
            _count(request, await rates.charge_stranger(request.state.address))
            raise
        bind_log(user_id=actor.user_id)
        request.state.actor = actor
        _count(request, await rates.charge(actor))
        if actor.must_change_password and self.permission != "self":
            raise PasswordChangeNeeded("the password is a temporary one: choose your own at /api/v1/auth/password")
        if not actor.may(self.permission):
            roles = ", ".join(sorted(PERMISSIONS[self.permission]))
            raise NotAllowed(f"the role {actor.role} has no right {self.permission}: ask somebody who is {roles}")
        return actor


class Public:
    """Declares that a route is for everybody, so that none is open by oversight; `counted` by address."""

    def __init__(self, *, counted: bool) -> None:
        self.counted = counted

    async def __call__(self, request: Request) -> None:
        """TooMany where the address has used its minute up."""
        if self.counted:
            rates: Rates = request.app.state.rates
            _count(request, await rates.charge_stranger(request.state.address))


def _count(request: Request, standing: Standing) -> None:
    request.state.rate = standing  # the frame tells it in the answer's headers
    admit(standing)


def needs(permission: str) -> Any:
    """`actor: Actor = needs("clients.read")`: who acts, if they may."""
    return Depends(Needs(permission))


def public(*, counted: bool = True) -> Any:
    """`dependencies=[public()]`: a route that asks for nobody; probes are not counted against the rate limit."""
    return Depends(Public(counted=counted))


@contextmanager
def desk(actor: Actor) -> Iterator[Session]:
    """The actor's transaction: sees and writes only the rows that are theirs to see."""
    with limited_transaction(lambda session: enter(session, actor)) as session:
        yield session


Limit = Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX, description="Rows of a page.")]
Cursor = Annotated[
    str | None,
    Query(max_length=1000, description="`next` of the page before; the other parameters must stay the same."),
]
Search = Annotated[str | None, Query(max_length=100, description="Part of a name, in any case.")]
AsOf = Annotated[
    date | None,
    Query(
        ge=FIRST_ON,
        le=LAST_ON,
        description="As known on this session; without it, on the newest that the firm has lived.",
    ),
]
