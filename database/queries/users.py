"""The firm's people."""

from sqlalchemy import func, select

from database.session import Session
from database.tables.users import User


def find_user(session: Session, *, email: str) -> User | None:
    """The person with this address, however it is written."""
    return session.scalar(select(User).where(func.lower(User.email) == email.strip().lower()))


def all_users(session: Session) -> list[User]:
    """Everybody, by address."""
    return list(session.scalars(select(User).order_by(User.email)))


def add_user(session: Session, user: User) -> User:
    """Store somebody new."""
    session.add(user)
    session.flush()
    return user
