"""The people who work here, and machines' keys."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.auth import Email
from auth.keys import DAYS_MAX

Role = Literal["admin", "advisor", "analyst", "viewer", "service"]
State = Literal["active", "disabled", "no_password"]
Name = Annotated[str, Field(min_length=1, max_length=200, examples=["Ada Lovelace"])]


class UserOut(BaseModel):
    """Somebody who works here, or a machine that does."""

    model_config = ConfigDict(from_attributes=True)

    user_id: int
    email: str
    name: str
    role: Role
    state: State = Field(description="no_password: nobody can sign in as them, as with a machine that has keys.")
    has_second_factor: bool
    must_change_password: bool
    last_signed_in_at: datetime | None
    created_at: datetime


class UserDetailOut(UserOut):
    """The same, with what slows their signing in down."""

    locked_until: datetime | None = Field(
        description="After many failed tries, until when addresses that the account does not know are kept waiting."
    )


class UserIn(BaseModel):
    """Somebody new."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    name: Name
    role: Role


class NewUserOut(BaseModel):
    """Somebody new, with the password to hand over; shown once. A machine has none: make it a key."""

    user: UserOut
    temporary_password: str | None = Field(description="Good for a week, and for nothing but choosing an own one.")


class UserPatch(BaseModel):
    """What changes."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    role: Role | None = Field(default=None, description="Another role ends every sign-in of theirs.")


class TemporaryPasswordOut(BaseModel):
    """A password to hand over; shown once."""

    temporary_password: str


class UnlockedOut(BaseModel):
    """What was forgotten."""

    failures: int = Field(description="Failed tries to sign in that count no longer.")
    addresses: int = Field(description="From how many addresses they came.")


class KeyIn(BaseModel):
    """A new key for a machine."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["nightly export"])
    permissions: list[Annotated[str, Field(max_length=48)]] | None = Field(
        default=None,
        max_length=100,
        description="Some of the user's permissions; without them all that the role has.",
        examples=[["clients.read", "portfolio.read"]],
    )
    days: int | None = Field(default=90, ge=1, le=DAYS_MAX, description="How long it counts; null for ever.")


class KeyOut(BaseModel):
    """A machine's key, as far as it is kept."""

    model_config = ConfigDict(from_attributes=True)

    api_key_id: int
    user_id: int
    name: str
    prefix: str = Field(description="How the key begins, to tell one from another.")
    permissions: list[str] | None
    created_by: int
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    revoked_at: datetime | None


class NewKeyOut(KeyOut):
    """A new key; `key` is shown once."""

    key: str = Field(description="To be sent as `Authorization: Bearer`.")
