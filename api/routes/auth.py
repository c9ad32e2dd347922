"""Signing in and out, one's own sign-ins, password and second factor."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from fastapi import Depends, Header, Query, Request
from fastapi.responses import Response

from api import credentials
from api.cookies import clear_cookies, refresh_cookie, session_cookie, set_cookies
from api.deps import Cursor, Limit, desk, needs, public
from api.errors import CHALLENGE, problem
from api.schemas.auth import (
    ConfirmIn,
    EndedOut,
    EnrolmentOut,
    MeOut,
    PasswordIn,
    ProofIn,
    RecoveryCode,
    RecoveryCodesOut,
    RefreshIn,
    SignInIn,
    SignInOut,
    TokenIn,
    TokensOut,
    Totp,
    TotpIn,
)
from api.schemas.page import Page
from api.word import Word
from auth import service
from auth.actor import Actor
from auth.roles import SEES
from auth.service import Claim
from auth.sign_ins import Place, Tokens
from auth.tokens import csrf_token
from core.clock import now
from core.errors import InputError, NotSignedIn
from database.queries.sign_ins import sign_ins_page

router = Word("auth", tags=["auth"])

_WEIGHED_AT_ONCE = 4
_gate: RunVar[CapacityLimiter] = RunVar("gate of sign-in")
_BASIC: dict[str, Any] = {"security": [{"basic": []}, {}]}


def _person(actor: Actor = needs("self")) -> Actor:
    """Who acts; NotAllowed for a machine's key."""
    service.require_person(actor)
    return actor


Person = Annotated[Actor, Depends(_person)]


@router.post("/token", dependencies=[public()], openapi_extra=_BASIC)
async def make_tokens(
    request: Request,
    response: Response,
    body: TokenIn | None = None,
    totp: Annotated[Totp | None, Header(alias="x-totp")] = None,
    recovery_code: Annotated[RecoveryCode | None, Header(alias="x-recovery-code")] = None,
) -> TokensOut:
    """Sign a program in, with HTTP Basic or a JSON body.

    Where a second factor is on and no code came along, the answer is 401 with the code `second_factor_needed`: send
    the same again with `totp` or `recovery_code`, in the body or as a header.
    """
    given = body or TokenIn()
    basic = credentials.read_basic(request)
    if basic is not None:
        email, password = basic
    elif given.email is not None and given.password is not None:
        email, password = given.email, given.password.get_secret_value()
    else:
        raise InputError("email and password are missing: send them with HTTP Basic, or as JSON")
    claim = Claim(email, password, totp=given.totp or totp, recovery_code=given.recovery_code or recovery_code)
    tokens = await _sign_in(request, claim)
    return _answer(response, tokens, in_cookies=False)


@router.post("/sign-in", dependencies=[public()])
async def sign_in(request: Request, response: Response, body: SignInIn) -> TokensOut:
    """Sign a browser in: the tokens come as cookies that no page can read."""
    credentials.require_own_site(request)
    claim = Claim(body.email, body.password.get_secret_value(), totp=body.totp, recovery_code=body.recovery_code)
    tokens = await _sign_in(request, claim)
    set_cookies(request, response, tokens)
    return _answer(response, tokens, in_cookies=True)


@router.post("/refresh", dependencies=[public()], response_model=TokensOut)
def refresh_sign_in(request: Request, response: Response, body: RefreshIn | None = None) -> Any:
    """Change a refresh token for the next pair; repeated within half a minute it gives the same one.

    A token that comes back later than that was stolen from one who used it: its sign-in ends for both.
    """
    if body is not None:
        return _answer(response, service.refresh(body.refresh_token), in_cookies=False)
    try:
        token = request.cookies.get(refresh_cookie())
        if token is None:
            raise NotSignedIn("there is no refresh token: sign in")
        tokens = service.refresh(token, check=partial(credentials.require_own_page, request))
    except NotSignedIn as error:
        refused = problem(error.http_status, error.code, str(error), headers={"WWW-Authenticate": CHALLENGE})
        clear_cookies(request, refused)
        return refused
    set_cookies(request, response, tokens)
    return _answer(response, tokens, in_cookies=True)


@router.post("/sign-out", status_code=204, dependencies=[public()])
def sign_out(request: Request, response: Response) -> None:
    """End the sign-in that this request came with, its access tokens at once. Done twice, it is done once."""
    actor = credentials.read_leaving(request)
    if actor is not None:
        service.sign_out(actor)
    if session_cookie() in request.cookies:
        clear_cookies(request, response)


@router.post("/sign-out-everywhere")
def sign_out_everywhere(request: Request, response: Response, person: Person) -> EndedOut:
    """End all one's sign-ins, this one too; machines' keys stay."""
    ended = service.sign_out_everywhere(person)
    clear_cookies(request, response)
    return EndedOut(ended=ended)


@router.get("/me")
def show_me(response: Response, actor: Actor = needs("self")) -> MeOut:
    """Who is signed in, and what they may do."""
    response.headers["Cache-Control"] = "no-store"
    with desk(actor) as session:
        me = service.describe_self(session, actor)
    in_browser = actor.via == "cookie" and actor.sign_in_id is not None
    return MeOut(
        user_id=actor.user_id,
        email=actor.email,
        name=me.name,
        role=actor.role,
        permissions=sorted(actor.permissions),
        sees=SEES[actor.role],
        via=actor.via,
        sign_in_id=actor.sign_in_id,
        csrf_token=csrf_token(actor.sign_in_id) if in_browser and actor.sign_in_id else None,
        has_second_factor=me.has_second_factor,
        recovery_codes_left=me.recovery_codes_left,
        must_change_password=me.must_change_password,
    )


@router.get("/sign-ins")
def list_sign_ins(
    person: Person,
    sort: Annotated[str, Query(max_length=32)] = "-last_used_at",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[SignInOut]:
    """Where one is signed in."""
    with desk(person) as session:
        rows = sign_ins_page(session, user_id=person.user_id, at=now(), sort=sort, limit=limit, cursor=cursor)
        return Page[SignInOut].of(
            rows,
            lambda row: SignInOut.model_validate(row.SignIn).model_copy(
                update={"is_current": row.SignIn.sign_in_id == person.sign_in_id}
            ),
        )


@router.delete("/sign-ins/{sign_in_id}", status_code=204)
def end_sign_in(sign_in_id: UUID, person: Person) -> None:
    """End one of one's sign-ins, its access tokens at once."""
    service.end_own_sign_in(person, sign_in_id)


@router.post("/password")
def change_password(request: Request, response: Response, body: PasswordIn, person: Person) -> TokensOut:
    """Choose a new password. Every sign-in ends; the answer is a new one."""
    tokens = service.change_password(
        person,
        old=body.old_password.get_secret_value(),
        new=body.new_password.get_secret_value(),
        place=_place(request),
    )
    if person.via == "cookie":
        set_cookies(request, response, tokens)
    return _answer(response, tokens, in_cookies=person.via == "cookie")


@router.post("/totp", status_code=201)
def begin_totp(request: Request, response: Response, body: TotpIn, person: Person) -> EnrolmentOut:
    """Begin to set up a second factor: what the authenticator needs. It is on once a code has confirmed it."""
    response.headers["Cache-Control"] = "no-store"
    made = service.begin_totp(person, password=body.password.get_secret_value(), place=_place(request))
    return EnrolmentOut(secret=made.secret, uri=made.uri)


@router.post("/totp/confirm")
def confirm_totp(response: Response, body: ConfirmIn, person: Person) -> RecoveryCodesOut:
    """Switch the second factor on with a code of it; the recovery codes are shown now and never again."""
    response.headers["Cache-Control"] = "no-store"
    return RecoveryCodesOut(recovery_codes=service.confirm_totp(person, code=body.code))


@router.post("/totp/recovery-codes")
def renew_recovery_codes(request: Request, response: Response, body: ProofIn, person: Person) -> RecoveryCodesOut:
    """New recovery codes in the place of all earlier ones."""
    response.headers["Cache-Control"] = "no-store"
    return RecoveryCodesOut(recovery_codes=service.renew_codes(person, _claim(body, person), _place(request)))


@router.post("/totp/disable", status_code=204)
def disable_totp(request: Request, body: ProofIn, person: Person) -> None:
    """Switch the second factor off, with the password and a code."""
    service.disable_totp(person, _claim(body, person), _place(request))


async def _sign_in(request: Request, claim: Claim) -> Tokens:
    """Passwords are slow to weigh: whoever waits for that waits here, and leaves the threads of all others alone."""
    gate = _gate.get(None)
    if gate is None:
        gate = CapacityLimiter(_WEIGHED_AT_ONCE)
        _gate.set(gate)
    return await to_thread.run_sync(partial(service.sign_in, claim, _place(request)), limiter=gate)


def _answer(response: Response, tokens: Tokens, *, in_cookies: bool) -> TokensOut:
    response.headers["Cache-Control"] = "no-store"
    return TokensOut.of(tokens, in_cookies=in_cookies)


def _claim(body: ProofIn, person: Actor) -> Claim:
    return Claim(person.email, body.password.get_secret_value(), totp=body.totp, recovery_code=body.recovery_code)


def _place(request: Request) -> Place:
    return Place(address=request.state.address, user_agent=request.headers.get("user-agent"))
