"""Signing in and out, passwords, second factors."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from auth.sign_ins import Tokens
from core.clock import now


def _is_text(secret: SecretStr) -> SecretStr:
    """JSON can spell half a character (\\ud800), which no text holds; of secrets nobody else checks it."""
    try:
        secret.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("a character is incomplete: send the whole of it") from None
    return secret


Password = Annotated[
    SecretStr,
    Field(min_length=1, max_length=200, examples=["four plain words together"]),
    AfterValidator(_is_text),
]
Totp = Annotated[
    str, Field(pattern=r"^[0-9 ]{6,10}$", description="The authenticator's six figures.", examples=["123456"])
]
RecoveryCode = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9 -]{16,40}$",
        description="A code on paper, once, in the place of the authenticator's.",
        examples=["K7QX-2MPA-99TC-WD4H"],
    ),
]
Email = Annotated[
    str, Field(min_length=3, max_length=254, pattern=r"^[^\x00-\x20\x7f]+$", examples=["ada@firm.example"])
]


class SignInIn(BaseModel):
    """Who somebody says they are, and the proof."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    password: Password
    totp: Totp | None = None
    recovery_code: RecoveryCode | None = None


class TokenIn(BaseModel):
    """The same where HTTP Basic may bring address and password."""

    model_config = ConfigDict(extra="forbid")

    email: Email | None = None
    password: Password | None = None
    totp: Totp | None = None
    recovery_code: RecoveryCode | None = None


class RefreshIn(BaseModel):
    """The refresh token of a program; browsers send theirs as a cookie."""

    model_config = ConfigDict(extra="forbid")

    refresh_token: str = Field(min_length=1, max_length=200)


class TokensOut(BaseModel):
    """A sign-in. Programs get the tokens here; browsers get them as cookies, and null here."""

    token_type: Literal["bearer"] = "bearer"  # noqa: S105 a kind of token, and none
    access_token: str | None = Field(description="To be sent as `Authorization: Bearer`.")
    expires_in_s: int = Field(description="Seconds until the access token must be refreshed.", examples=[600])
    refresh_token: str | None = Field(description="Counts once, for the next pair.")
    refresh_expires_at: datetime = Field(description="Without a refresh until then the sign-in ends.")
    sign_in_id: UUID
    csrf_token: str | None = Field(description="For browsers: to be sent as `x-csrf-token` with each write.")
    must_change_password: bool = Field(
        description="The password is a temporary one: only what concerns oneself is open until it is changed."
    )

    @classmethod
    def of(cls, tokens: Tokens, *, in_cookies: bool) -> Self:
        """What a program, or a browser, is told of its tokens."""
        return cls(
            access_token=None if in_cookies else tokens.access_token,
            expires_in_s=int((tokens.access_expires_at - now()).total_seconds()),
            refresh_token=None if in_cookies else tokens.refresh_token,
            refresh_expires_at=tokens.refresh_expires_at,
            sign_in_id=tokens.sign_in_id,
            csrf_token=tokens.csrf_token if in_cookies else None,
            must_change_password=tokens.must_change_password,
        )


class MeOut(BaseModel):
    """Who is signed in, and what they may do."""

    user_id: int
    email: str
    name: str
    role: str
    permissions: list[str] = Field(description="What a page may offer; each route asks again.")
    sees: str = Field(description="Whose clients are shown: all, assigned or none.")
    via: str = Field(description="cookie, bearer or key")
    sign_in_id: UUID | None
    csrf_token: str | None = Field(description="For browsers: to be sent as `x-csrf-token` with each write.")
    has_second_factor: bool
    recovery_codes_left: int
    must_change_password: bool


class SignInOut(BaseModel):
    """Where somebody is signed in."""

    model_config = ConfigDict(from_attributes=True)

    sign_in_id: UUID
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None
    is_current: bool = Field(default=False, description="The one that this request came with.")


class PasswordIn(BaseModel):
    """A new password."""

    model_config = ConfigDict(extra="forbid")

    old_password: Password
    new_password: Password


class EndedOut(BaseModel):
    """How many sign-ins ended."""

    ended: int


class TotpIn(BaseModel):
    """The password, before a second factor is set up."""

    model_config = ConfigDict(extra="forbid")

    password: Password


class EnrolmentOut(BaseModel):
    """What an authenticator needs; shown once. The second factor is on when a code has confirmed it."""

    secret: str = Field(description="To be typed in, where the picture cannot be taken.")
    uri: str = Field(description="To be shown as a QR code.", examples=["otpauth://totp/ACIS:ada%40firm.example?..."])


class ConfirmIn(BaseModel):
    """A code of the authenticator that was just set up."""

    model_config = ConfigDict(extra="forbid")

    code: Totp


class ProofIn(BaseModel):
    """The password and one code."""

    model_config = ConfigDict(extra="forbid")

    password: Password
    totp: Totp | None = None
    recovery_code: RecoveryCode | None = None

    @model_validator(mode="after")
    def _brings_a_code(self) -> Self:
        if self.totp is None and self.recovery_code is None:
            raise ValueError("give totp or recovery_code")
        return self


class RecoveryCodesOut(BaseModel):
    """Codes for paper, each good once; shown once."""

    recovery_codes: list[str]
