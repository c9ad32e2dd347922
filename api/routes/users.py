"""The people who work here, for admins: who they are, what they may do, how they get back in, machines' keys."""

from typing import Annotated, Any

from fastapi import Path, Query, Response

from api.deps import Cursor, Limit, Search, desk, needs
from api.schemas.auth import EndedOut, SignInOut
from api.schemas.page import Page
from api.schemas.users import (
    KeyIn,
    KeyOut,
    NewKeyOut,
    NewUserOut,
    Role,
    State,
    TemporaryPasswordOut,
    UnlockedOut,
    UserDetailOut,
    UserIn,
    UserOut,
    UserPatch,
)
from api.word import Word
from auth import people
from auth.actor import Actor
from auth.keys import make_key, revoke_key
from auth.lockout import locked_until
from auth.service import require_person
from core.clock import now
from core.errors import NotFound
from database.paging import Row
from database.queries.api_keys import keys_page
from database.queries.sign_ins import sign_ins_page
from database.queries.users import get_user, users_page

router = Word("users", tags=["users"])

_Number = Path(ge=1, le=2**63 - 1)
UserId = Annotated[int, _Number]
Sort = Annotated[str, Query(max_length=32, description="A column's name; `-` before it for descending.")]


@router.get("")
def list_users(
    q: Search = None,
    role: Role | None = None,
    state: State | None = None,
    sort: Sort = "email",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("users.read"),
) -> Page[UserOut]:
    """Everybody who works here."""
    with desk(actor) as session:
        rows = users_page(session, search=q, role=role, state=state, sort=sort, limit=limit, cursor=cursor)
        return Page[UserOut].of(rows, _user)


@router.post("", status_code=201)
def add_user(body: UserIn, response: Response, actor: Actor = needs("users.write")) -> NewUserOut:
    """Make somebody known, with a temporary password; a machine gets none."""
    response.headers["Cache-Control"] = "no-store"
    with desk(actor) as session:
        person = people.add_person(session, email=body.email, name=body.name, role=body.role, actor=actor.email)
        password = None
        if body.role != "service":
            password = people.give_temporary_password(session, user_id=person.user_id, actor=actor.email)
        user = get_user(session, user_id=person.user_id)
        assert user is not None, "it was added a moment ago"
        return NewUserOut(user=UserOut.model_validate(people.person_of(user)), temporary_password=password)


@router.get("/{user_id}")
def show_user(user_id: UserId, actor: Actor = needs("users.read")) -> UserDetailOut:
    """Somebody who works here."""
    with desk(actor) as session:
        user = get_user(session, user_id=user_id)
        if user is None:
            raise NotFound("user", user_id)
        person = UserOut.model_validate(people.person_of(user))
        return UserDetailOut(**person.model_dump(), locked_until=locked_until(session, email=user.email))


@router.patch("/{user_id}")
def change_user(user_id: UserId, body: UserPatch, actor: Actor = needs("users.write")) -> UserOut:
    """Another name or role; another role ends every sign-in. The last admin stays one."""
    with desk(actor) as session:
        changed = people.change_person(session, user_id=user_id, name=body.name, role=body.role, actor=actor.email)
        return UserOut.model_validate(changed)


@router.post("/{user_id}/disable")
def disable_user(user_id: UserId, actor: Actor = needs("users.write")) -> UserOut:
    """Nobody acts as them from this moment, their keys included. The last admin stays."""
    with desk(actor) as session:
        return UserOut.model_validate(people.disable_person(session, user_id=user_id, actor=actor.email))


@router.post("/{user_id}/enable")
def enable_user(user_id: UserId, actor: Actor = needs("users.write")) -> UserOut:
    """Let them sign in again."""
    with desk(actor) as session:
        return UserOut.model_validate(people.enable_person(session, user_id=user_id, actor=actor.email))


@router.post("/{user_id}/reset-password")
def reset_password(user_id: UserId, response: Response, actor: Actor = needs("users.write")) -> TemporaryPasswordOut:
    """A temporary password to hand over; every sign-in of theirs ends."""
    response.headers["Cache-Control"] = "no-store"
    with desk(actor) as session:
        password = people.give_temporary_password(session, user_id=user_id, actor=actor.email)
        return TemporaryPasswordOut(temporary_password=password)


@router.post("/{user_id}/reset-second-factor", status_code=204)
def reset_second_factor(user_id: UserId, actor: Actor = needs("users.write")) -> None:
    """Forget a lost authenticator and its recovery codes; every sign-in of theirs ends."""
    with desk(actor) as session:
        people.reset_second_factor(session, user_id=user_id, actor=actor.email)


@router.post("/{user_id}/unlock")
def unlock_user(user_id: UserId, actor: Actor = needs("users.write")) -> UnlockedOut:
    """Forget their failed tries to sign in, so that they need not wait."""
    with desk(actor) as session:
        failures, addresses = people.unlock(session, user_id=user_id, actor=actor.email)
        return UnlockedOut(failures=failures, addresses=addresses)


@router.get("/{user_id}/sign-ins")
def list_sign_ins_of_user(
    user_id: UserId,
    sort: Sort = "-last_used_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("users.read"),
) -> Page[SignInOut]:
    """Where somebody is signed in."""
    with desk(actor) as session:
        if get_user(session, user_id=user_id) is None:
            raise NotFound("user", user_id)
        rows = sign_ins_page(session, user_id=user_id, at=now(), sort=sort, limit=limit, cursor=cursor)
        return Page[SignInOut].of(rows, lambda row: SignInOut.model_validate(row.SignIn))


@router.post("/{user_id}/end-sign-ins")
def end_sign_ins_of_user(user_id: UserId, actor: Actor = needs("users.write")) -> EndedOut:
    """Sign somebody out everywhere; machines' keys stay."""
    with desk(actor) as session:
        return EndedOut(ended=people.end_sign_ins(session, user_id=user_id, actor=actor.email))


@router.get("/{user_id}/keys")
def list_keys(
    user_id: UserId,
    sort: Sort = "-created_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    actor: Actor = needs("users.read"),
) -> Page[KeyOut]:
    """A machine's keys, or one's own, revoked ones too."""
    with desk(actor) as session:
        if get_user(session, user_id=user_id) is None:
            raise NotFound("user", user_id)
        rows = keys_page(session, user_id=user_id, sort=sort, limit=limit, cursor=cursor)
        return Page[KeyOut].of(rows, lambda row: KeyOut.model_validate(row.ApiKey))


@router.post("/{user_id}/keys", status_code=201)
def add_key(user_id: UserId, body: KeyIn, response: Response, actor: Actor = needs("users.write")) -> NewKeyOut:
    """A key for a machine's user, or for oneself; `key` is shown now and never again."""
    require_person(actor)
    response.headers["Cache-Control"] = "no-store"
    with desk(actor) as session:
        row, key = make_key(
            session, user_id=user_id, name=body.name, permissions=body.permissions, days=body.days, actor=actor
        )
        return NewKeyOut(**KeyOut.model_validate(row).model_dump(), key=key)


@router.delete("/{user_id}/keys/{api_key_id}", status_code=204)
def end_key(user_id: UserId, api_key_id: Annotated[int, _Number], actor: Actor = needs("users.write")) -> None:
    """Revoke a key: it counts no longer, from this moment."""
    with desk(actor) as session:
        revoke_key(session, user_id=user_id, api_key_id=api_key_id, actor=actor)


def _user(row: Row[Any]) -> UserOut:
    return UserOut.model_validate(people.person_of(row.User))
