"""The firm's people, known by their e-mail address, in one spelling."""

import re
from dataclasses import dataclass

from auth.audit import record
from auth.roles import ROLES
from core.errors import InputError, Refused, UnknownName
from database.queries import users as queries
from database.session import Session
from database.tables.users import User

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True)
class Person:
    """Somebody who works with the platform."""

    email: str
    name: str
    role: str


def add_person(session: Session, *, email: str, name: str, role: str, actor: str) -> Person:
    """Make somebody known. InputError for no address, UnknownName for another role, Refused where it is taken."""
    address = email.strip().lower()
    if not _ADDRESS.fullmatch(address):
        raise InputError(f"email is {email!r}: give an address such as ada@firm.example")
    if not name.strip():
        raise InputError("name is empty: say what the person is called")
    if role not in ROLES:
        raise UnknownName("role", role, ROLES)
    if queries.find_user(session, email=address) is not None:
        raise Refused(f"{address} is somebody already")
    user = queries.add_user(session, User(email=address, name=name.strip(), role=role))
    record(
        session,
        actor=actor,
        action="add",
        subject="user",
        subject_id=user.user_id,
        after={"email": address, "role": role},
    )
    return Person(user.email, user.name, user.role)


def list_people(session: Session) -> list[Person]:
    """Everybody, by address."""
    return [Person(user.email, user.name, user.role) for user in queries.all_users(session)]
