"""The verbs of sign-in for doors.

They open their own transactions: a try must be remembered although it is refused, and a password is weighed while no
connection waits for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from auth import lockout
from auth.actor import Actor
from auth.audit import record
from auth.keys import KEY_PREFIX, find_actor
from auth.passwords import hash_password, is_password, is_weakly_kept, require_good_password
from auth.scope import enter
from auth.second_factor import (
    Enrolment,
    begin_second_factor,
    confirm_second_factor,
    remove_second_factor,
    renew_recovery_codes,
    take_code,
    take_recovery_code,
)
from auth.sign_ins import Place, Stolen, Tokens, begin_sign_in, end_all_sign_ins, rotate
from core.clock import now
from core.errors import AcisError, InputError, NotAllowed, NotFound, NotSignedIn, Refused, SecondFactorNeeded
from core.log import get_logger
from database.queries.sign_ins import end_sign_in
from database.queries.users import count_recovery_codes, find_user, get_user
from database.session import Session, limited_transaction
from database.tables.users import User

__all__ = ["KEY_PREFIX"]
TEMPORARY_PASSWORD_LASTS = timedelta(days=7)
_WRONG = "the address or the password is wrong, or the account is closed: try again, or ask an admin"
_WRONG_CODE = "the code is not right or was used before: take the authenticator's next one"
_log = get_logger("auth")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Claim:
    """Who somebody says they are, and what they bring as proof."""

    email: str
    password: str = field(repr=False)
    totp: str | None = field(default=None, repr=False)
    recovery_code: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Myself:
    """What somebody may know of themselves."""

    name: str
    has_second_factor: bool
    recovery_codes_left: int
    must_change_password: bool


def sign_in(claim: Claim, place: Place) -> Tokens:
    """Let somebody in who proves who they are.

    NotSignedIn in the same words, after the same time, whatever is wrong; SecondFactorNeeded where the password is
    right and a code is needed; TooMany where too many tries failed of late.
    """
    attempt_id, user = _weigh(claim.email, claim.password, place, wrong=NotSignedIn(_WRONG))
    kept = user.password_hash
    anew = hash_password(claim.password) if is_weakly_kept(kept or "") else None
    with limited_transaction() as session:
        present = get_user(session, user_id=user.user_id, locked=True)
        if present is None or present.password_hash != kept or not _is_open(present):
            raise NotSignedIn(_WRONG)
        if present.totp_confirmed_at is not None and claim.totp is None and claim.recovery_code is None:
            lockout.does_not_count(session, attempt_id)
            tokens = None
        else:
            if present.totp_confirmed_at is not None and not _is_right_code(session, present, claim):
                raise SecondFactorNeeded(_WRONG_CODE)
            lockout.went_well(session, attempt_id)
            present.password_hash = anew or kept
            tokens = begin_sign_in(session, present, place)
            after = {"sign_in": tokens.sign_in_id, "user_agent": place.user_agent}
            _record(session, present, "sign in", after)
    if tokens is None:
        raise SecondFactorNeeded("a code is needed as well: send the authenticator's as totp, or a recovery_code")
    return tokens


def refresh(token: str, *, check: Callable[[UUID], None] = lambda sign_in_id: None) -> Tokens:
    """Change a refresh token for a new pair. NotSignedIn where it no longer counts; one used twice ends its sign-in."""
    with limited_transaction() as session:
        made = rotate(session, token, check=check)
    if isinstance(made, Stolen):
        _log.warning("refresh token used twice", sign_in=str(made.sign_in_id))
        raise NotSignedIn("this refresh token was used before, so its sign-in has ended for safety: sign in again")
    return made


def sign_out(actor: Actor) -> None:
    """End the sign-in that the actor's token came from, with all its tokens; nothing where it has ended."""
    with limited_transaction() as session:
        user = get_user(session, user_id=actor.user_id)
        ended = actor.sign_in_id is not None and end_sign_in(
            session, sign_in_id=actor.sign_in_id, reason="signed out", at=now(), user_id=actor.user_id
        )
        if ended and user is not None:
            _record(session, user, "sign out", {"sign_in": actor.sign_in_id})


def sign_out_everywhere(actor: Actor) -> int:
    """End all the actor's sign-ins; how many went on until now. Keys of machines stay."""
    with limited_transaction() as session:
        user = _enter(session, actor)
        ended = end_all_sign_ins(session, user, reason="signed out everywhere")
        _record(session, user, "sign out everywhere", {"ended": ended})
    return ended


def end_own_sign_in(actor: Actor, sign_in_id: UUID) -> None:
    """End one of the actor's sign-ins. NotFound where it is another's or has ended."""
    with limited_transaction() as session:
        user = _enter(session, actor)
        if not end_sign_in(session, sign_in_id=sign_in_id, reason="signed out", at=now(), user_id=user.user_id):
            raise NotFound("sign-in", str(sign_in_id))
        _record(session, user, "sign out", {"sign_in": sign_in_id})


def change_password(actor: Actor, *, old: str, new: str, place: Place) -> Tokens:
    """Choose a new password; every sign-in ends, and a new one begins here."""
    wrong = InputError("old_password is not right: give the one that you signed in with")
    attempt_id, user = _weigh(actor.email, old, place, wrong=wrong, actor=actor)
    require_good_password(new, email=user.email, name=user.name)
    if is_password(new, user.password_hash):
        raise InputError("new_password is the old one: choose another")
    kept = hash_password(new)
    with limited_transaction() as session:
        present = _enter(session, actor)
        if present.password_hash != user.password_hash:
            raise Refused("the password was changed a moment ago: sign in with the new one")
        lockout.went_well(session, attempt_id)
        present.password_hash, present.password_changed_at = kept, now()
        present.must_change_password = False
        ended = end_all_sign_ins(session, present, reason="password changed")
        _record(session, present, "change password", {"ended": ended})
        return begin_sign_in(session, present, place)


def describe_self(session: Session, actor: Actor) -> Myself:
    """What the actor may know of themselves."""
    user = get_user(session, user_id=actor.user_id)
    assert user is not None, "the actor entered the transaction"
    left = count_recovery_codes(session, user_id=user.user_id)
    return Myself(user.name, user.totp_confirmed_at is not None, left, user.must_change_password)


def begin_totp(actor: Actor, *, password: str, place: Place) -> Enrolment:
    """A new secret for an authenticator, for whoever knows the password."""
    return _with_password(actor, password, place, begin_second_factor)


def confirm_totp(actor: Actor, *, code: str) -> list[str]:
    """Switch the second factor on; the recovery codes, shown once."""
    with limited_transaction() as session:
        return confirm_second_factor(session, _enter(session, actor), code=code)


def renew_codes(actor: Actor, claim: Claim, place: Place) -> list[str]:
    """New recovery codes in the place of the old, for whoever has the password and a code."""

    def renew(session: Session, user: User) -> list[str]:
        _require_code(session, user, claim)
        return renew_recovery_codes(session, user)

    return _with_password(actor, claim.password, place, renew)


def disable_totp(actor: Actor, claim: Claim, place: Place) -> None:
    """Switch the second factor off, for whoever has the password and a code."""

    def remove(session: Session, user: User) -> None:
        if user.totp_confirmed_at is not None:
            _require_code(session, user, claim)
        remove_second_factor(session, user, actor=user.email)

    _with_password(actor, claim.password, place, remove)


def actor_of_key(key: str) -> Actor:
    """Who a machine's key acts as. NotSignedIn for a key that is unknown, revoked or past its date."""
    with limited_transaction() as session:
        return find_actor(session, key)


def require_person(actor: Actor) -> None:
    """NotAllowed for a machine's key: how its owner signs in is not for a key to change."""
    if actor.via == "key":
        raise NotAllowed("a machine's key may not do this: sign in as a person")


def _weigh(
    email: str, password: str, place: Place, *, wrong: AcisError, actor: Actor | None = None
) -> tuple[int, User]:
    """The try's number and the person, or `wrong`. The try is counted before the password is looked at."""
    with limited_transaction() as session:
        if actor is not None:
            enter(session, actor)
        attempt_id = lockout.admit(session, email=email, address=place.address)
        user = find_user(session, email=email)
    if not is_password(password, None if user is None else user.password_hash) or user is None:
        raise wrong
    return attempt_id, user


def _with_password(actor: Actor, password: str, place: Place, work: Callable[[Session, User], Made]) -> Made:
    wrong = InputError("password is not right: give the one that you signed in with")
    attempt_id, _ = _weigh(actor.email, password, place, wrong=wrong, actor=actor)
    with limited_transaction() as session:
        made = work(session, _enter(session, actor))
        lockout.went_well(session, attempt_id)
    return made


def _enter(session: Session, actor: Actor) -> User:
    enter(session, actor)
    user = get_user(session, user_id=actor.user_id, locked=True)
    assert user is not None, "the actor entered the transaction"
    return user


def _is_open(user: User) -> bool:
    """Whether the person may sign in: not disabled, and a temporary password is not old."""
    changed_at = user.password_changed_at
    is_stale = user.must_change_password and changed_at is not None and now() - changed_at > TEMPORARY_PASSWORD_LASTS
    return user.disabled_at is None and not is_stale


def _is_right_code(session: Session, user: User, claim: Claim) -> bool:
    if claim.totp is not None:
        return take_code(session, user, claim.totp)
    return claim.recovery_code is not None and take_recovery_code(session, user, claim.recovery_code)


def _require_code(session: Session, user: User, claim: Claim) -> None:
    if not _is_right_code(session, user, claim):
        raise InputError(f"code: {_WRONG_CODE}")


def _record(session: Session, user: User, action: str, after: dict[str, Any]) -> None:
    record(session, actor=user.email, action=action, subject="user", subject_id=user.user_id, after=after)
