"""How many statements a request costs the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from database.session import limited_engine


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that the API's connections run meanwhile."""
    statements: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    event.listen(limited_engine(), "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(limited_engine(), "before_cursor_execute", note)
