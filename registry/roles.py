"""Who serves: the champion and the challenger of each strategy on a date."""

from datetime import date

from database.queries import roles as queries
from database.session import Session
from database.tables.models import ModelVersion


def champions(session: Session, *, kind: str, as_of: date) -> dict[str, ModelVersion]:
    """By strategy, the version that may reach clients on `as_of`; a strategy without one is absent."""
    return queries.holders(session, kind=kind, role="champion", as_of=as_of)


def challengers(session: Session, *, kind: str, as_of: date) -> dict[str, ModelVersion]:
    """By strategy, the version that runs in shadow on `as_of`."""
    return queries.holders(session, kind=kind, role="challenger", as_of=as_of)
