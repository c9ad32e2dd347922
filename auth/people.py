"""The firm's people, known by their e-mail address, in one spelling, and what admins do for them."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from auth import lockout
from auth.audit import record
from auth.passwords import hash_password, make_temporary_password
from auth.roles import ROLES
from auth.second_factor import remove_second_factor
from auth.sign_ins import end_all_sign_ins
from core.clock import now
from core.errors import InputError, NotFound, Refused, UnknownName
from database.queries import users as queries
from database.session import Session
from database.tables.users import User

_ADDRESS = re.compile(r"[^@\s:\x00-\x1f]+@[^@\s:\x00-\x1f]+\.[^@\s:\x00-\x1f]+")
_ADDRESS_CHARACTERS_MAX, _NAME_CHARACTERS_MAX = 254, 200
# Who is there in the sample firm, so that every role can be tried.
_SAMPLE = (
    ("ada@sample.example", "Ada Admin", "admin"),
    ("bea@sample.example", "Bea Second Admin", "admin"),
    ("alex@sample.example", "Alex Advisor", "advisor"),
    ("nora@sample.example", "Nora Other Advisor", "advisor"),
    ("ana@sample.example", "Ana Analyst", "analyst"),
    ("vera@sample.example", "Vera Viewer", "viewer"),
)


@dataclass(frozen=True)
class Person:
    """Somebody who works with the platform."""

    user_id: int
    email: str
    name: str
    role: str
    state: str
    has_second_factor: bool
    must_change_password: bool
    last_signed_in_at: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class Sample:
    """Somebody of the sample firm; the password is there when it was made just now, and never again."""

    user_id: int
    email: str
    role: str
    password: str | None = field(repr=False)


def add_person(session: Session, *, email: str, name: str, role: str, actor: str) -> Person:
    """Make somebody known. InputError for no address, UnknownName for another role, Refused where it is taken."""
    address = email.strip().lower()
    if not _ADDRESS.fullmatch(address) or len(address) > _ADDRESS_CHARACTERS_MAX:
        raise InputError(f"email is {email!r}: give an address such as ada@firm.example")
    _require_role(role)
    if queries.find_user(session, email=address) is not None:
        raise Refused(f"{address} is somebody already")
    user = queries.add_user(session, User(email=address, name=_good_name(name), role=role, created_at=now(), epoch=1))
    _record(session, user, "add", actor=actor, after={"email": address, "role": role})
    return person_of(user)


def list_people(session: Session) -> list[Person]:
    """Everybody, by address."""
    return [person_of(user) for user in queries.all_users(session)]


def person_of(user: User) -> Person:
    """Somebody as others may know them: nothing that proves who they are."""
    state = "disabled" if user.disabled_at else "active" if user.password_hash else "no_password"
    return Person(
        user_id=user.user_id,
        email=user.email,
        name=user.name,
        role=user.role,
        state=state,
        has_second_factor=user.totp_confirmed_at is not None,
        must_change_password=bool(user.must_change_password),
        last_signed_in_at=user.last_signed_in_at,
        created_at=user.created_at,
    )


def find_person(session: Session, *, email: str) -> Person:
    """Somebody by address. NotFound where nobody has it."""
    user = queries.find_user(session, email=email)
    if user is None:
        raise NotFound("user", email)
    return person_of(user)


def change_person(
    session: Session, *, user_id: int, name: str | None = None, role: str | None = None, actor: str
) -> Person:
    """Another name or role. A new role ends every sign-in: it begins with a fresh one. Refused for the last admin."""
    if role is not None:
        _require_role(role)
    user = _locked(session, user_id, keeps_admin=role in (None, "admin"))
    before = {"name": user.name, "role": user.role}
    if name is not None:
        user.name = _good_name(name)
    if role is not None and role != user.role:
        user.role = role
        end_all_sign_ins(session, user, reason="role changed")
    after = {"name": user.name, "role": user.role}
    if after != before:
        _record(session, user, "change", actor=actor, before=before, after=after)
    return person_of(user)


def disable_person(session: Session, *, user_id: int, actor: str) -> Person:
    """Nobody acts as them from this moment, their keys included. Refused for the last admin."""
    user = _locked(session, user_id, keeps_admin=False)
    if user.disabled_at is None:
        user.disabled_at = now()
        ended = end_all_sign_ins(session, user, reason="disabled")
        _record(session, user, "disable", actor=actor, after={"ended": ended})
    return person_of(user)


def enable_person(session: Session, *, user_id: int, actor: str) -> Person:
    """Let them sign in again."""
    user = _locked(session, user_id)
    if user.disabled_at is not None:
        user.disabled_at = None
        _record(session, user, "enable", actor=actor)
    return person_of(user)


def give_temporary_password(session: Session, *, user_id: int, actor: str) -> str:
    """A random password that stands for nothing but choosing an own one, within a week; every sign-in ends.

    Refused for a machine: it acts by keys.
    """
    user = _locked(session, user_id)
    if user.role == "service":
        raise Refused(f"{user.email} is a machine: it needs a key, and no password")
    password = make_temporary_password()
    user.password_hash, user.password_changed_at = hash_password(password), now()
    user.must_change_password = True
    ended = end_all_sign_ins(session, user, reason="password reset")
    _record(session, user, "reset password", actor=actor, after={"ended": ended})
    return password


def reset_second_factor(session: Session, *, user_id: int, actor: str) -> None:
    """Forget a lost authenticator; every sign-in ends. Refused where there is none."""
    user = _locked(session, user_id)
    remove_second_factor(session, user, actor=actor)
    end_all_sign_ins(session, user, reason="second factor reset")


def unlock(session: Session, *, user_id: int, actor: str) -> tuple[int, int]:
    """Forget failed tries to sign in, so that nobody waits; how many they were, and from how many addresses."""
    user = _locked(session, user_id)
    count, addresses = lockout.forget_failures(session, email=user.email)
    _record(session, user, "unlock", actor=actor, after={"failures": count, "addresses": addresses})
    return count, addresses


def end_sign_ins(session: Session, *, user_id: int, actor: str) -> int:
    """Sign somebody out everywhere; how many sign-ins went on until now."""
    user = _locked(session, user_id)
    ended = end_all_sign_ins(session, user, reason="ended by an admin")
    _record(session, user, "end sign-ins", actor=actor, after={"ended": ended})
    return ended


def sample_people(session: Session, *, actor: str = "operator") -> list[Sample]:
    """The sample firm's people, one of each role at least; a second time changes nothing and tells no password."""
    found = []
    for email, name, role in _SAMPLE:
        user = queries.find_user(session, email=email)
        password = None
        if user is None:
            person = add_person(session, email=email, name=name, role=role, actor=actor)
            user = _locked(session, person.user_id)
            password = make_temporary_password()
            user.password_hash, user.password_changed_at = hash_password(password), now()
        found.append(Sample(user.user_id, user.email, user.role, password))
    return found


def _locked(session: Session, user_id: int, *, keeps_admin: bool = True) -> User:
    """The person, locked; with `keeps_admin` False, Refused where no admin would be left."""
    # The admins first and in one order, so that two who disable each other wait instead of dying in a deadlock.
    admins = [] if keeps_admin else queries.lock_admins(session)
    user = queries.get_user(session, user_id=user_id, locked=True)
    if user is None:
        raise NotFound("user", user_id)
    if admins == [user_id]:
        raise Refused(f"{user.email} is the last admin: make somebody else an admin first")
    return user


def _require_role(role: str) -> None:
    if role not in ROLES:
        raise UnknownName("role", role, ROLES)


def _good_name(name: str) -> str:
    if not name.strip():
        raise InputError("name is empty: say what the person is called")
    if len(name.strip()) > _NAME_CHARACTERS_MAX or not name.strip().isprintable():
        raise InputError(f"name is {name[:40]!r}...: at most {_NAME_CHARACTERS_MAX} characters that can be printed")
    return name.strip()


def _record(
    session: Session,
    user: User,
    action: str,
    *,
    actor: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    record(session, actor=actor, action=action, subject="user", subject_id=user.user_id, before=before, after=after)
