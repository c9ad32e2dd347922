"""Engine, Session and the one place that commits."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from urllib.parse import urlsplit, urlunsplit

import psycopg
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError as DatabaseError
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from core.config import get_settings
from core.errors import InputError, Unreachable
from database.embedded import start_embedded

__all__ = [
    "DatabaseError",
    "Session",
    "advisory_lock",
    "create_database_if_missing",
    "database_url",
    "dispose",
    "engine",
    "transaction",
]

APPLICATION_DATABASE = "acis"


def with_database(url: str, database: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def create_database_if_missing(url: str, database: str) -> str:
    """Create `database` on the server of `url` where it is not there yet; returns its URL."""
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute("select 1 from pg_database where datname = %s", (database,)).fetchone()
            if found is None:
                # Another process may create it between the look and the call.
                with suppress(psycopg.errors.DuplicateDatabase):
                    connection.execute(f'create database "{database}"')
    except psycopg.OperationalError as error:
        raise Unreachable(f"the database does not answer: {error}") from error
    return with_database(url, database)


@cache
def database_url() -> str:
    """libpq URL of the application's database: DATABASE_URL, or the embedded server's."""
    settings = get_settings()
    if settings.database_url is None:
        return create_database_if_missing(start_embedded(settings.postgres_dir), APPLICATION_DATABASE)
    scheme, _, rest = settings.database_url.partition("://")
    if scheme.split("+")[0] not in {"postgresql", "postgres"}:
        raise InputError(
            f"DATABASE_URL starts with {scheme!r}; only PostgreSQL is supported: postgresql://user:password@host/name"
        )
    return f"postgresql://{rest}"


@cache
def engine() -> Engine:
    """The process's engine, made on first use."""
    url = database_url().replace("postgresql://", "postgresql+psycopg://", 1)
    return create_engine(url, pool_pre_ping=True, pool_size=5, connect_args={"options": "-c timezone=UTC"})


@contextmanager
def transaction() -> Iterator[Session]:
    """One unit of work for a door: commits at the end, rolls back on any error.

    Raises Unreachable when the server cannot be reached or goes away: whether a commit then happened is unknown,
    so every verb is written to be repeated safely.
    """
    session = sessionmaker(engine(), expire_on_commit=False)()
    try:
        yield session
        session.commit()
    except OperationalError as error:
        if error.connection_invalidated or getattr(error.orig, "sqlstate", None) is None:
            raise Unreachable(f"the database does not answer: {error.orig}") from error
        raise
    finally:
        session.close()


def advisory_lock(session: Session, name: str) -> None:
    """Hold the lock `name` until this transaction ends; waits for whoever holds it."""
    session.execute(text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def dispose() -> None:
    """Forget the engine and the URL: after a fork, and between tests."""
    if engine.cache_info().currsize:
        engine().dispose()
    engine.cache_clear()
    database_url.cache_clear()
