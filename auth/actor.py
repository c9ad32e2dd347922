"""Who is acting: what a request's token says about its bearer, once it has been verified."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from auth.roles import permissions_of


@dataclass(frozen=True)
class Actor:
    """Somebody signed in, or a machine with a key. `permissions` are the role's, or a key's share of them.

    With `must_change_password` only what is declared as `self` is open to them.
    """

    user_id: int
    email: str
    role: str
    epoch: int
    via: Literal["cookie", "bearer", "key"]
    permissions: frozenset[str]
    sign_in_id: UUID | None = None
    api_key_id: int | None = None
    must_change_password: bool = False

    def may(self, permission: str) -> bool:
        """Whether the actor has the permission; `permissions` never hold more than the role."""
        return permission in self.permissions and permission in permissions_of(self.role)
