"""Engine, Session and the one place that commits."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DataError, OperationalError, TimeoutError
from sqlalchemy.exc import DBAPIError as DatabaseError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from core.config import get_settings
from core.errors import InputError, Refused, Unreachable
from database.embedded import start_embedded

__all__ = [
    "DatabaseError",
    "Session",
    "advisory_lock",
    "after_commit",
    "connections_in_use",
    "create_database_if_missing",
    "database_url",
    "dispose",
    "engine",
    "is_bad_value",
    "limited_engine",
    "limited_transaction",
    "limited_url",
    "require_limited_role",
    "transaction",
    "watch_statements",
]

APPLICATION_DATABASE = "acis"
API_ROLE = "acis_api"
_AFTER_COMMIT = "after_commit"
_CONNECTION_WAIT_S = 3.0


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
    return _libpq(settings.database_url, "DATABASE_URL")


@cache
def limited_url() -> str:
    """libpq URL for the API, whose role sees only what the rows' policies show it.

    API_DATABASE_URL, or else DATABASE_URL (which `require_limited_role` then judges), or the embedded server's own
    limited role.
    """
    settings = get_settings()
    if settings.api_database_url is not None:
        return _libpq(settings.api_database_url, "API_DATABASE_URL")
    if settings.database_url is not None:
        return database_url()
    return as_role(database_url(), API_ROLE)


def as_role(url: str, role: str) -> str:
    """The same server and database for another role; only where the server trusts its socket, as the embedded does."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))


def _libpq(url: str, name: str) -> str:
    scheme, _, rest = url.partition("://")
    if scheme.split("+")[0] not in {"postgresql", "postgres"}:
        raise InputError(
            f"{name} starts with {scheme!r}; only PostgreSQL is supported: postgresql://user:password@host/name"
        )
    return f"postgresql://{rest}"


@cache
def engine() -> Engine:
    """The process's engine, made on first use."""
    return create_engine(
        _dialect_url(database_url()),
        pool_pre_ping=True,
        hide_parameters=True,  # an error's text goes into the log, and values may be secrets
        connect_args={"options": "-c timezone=UTC"},
    )


@cache
def limited_engine() -> Engine:
    """The API's engine, made on first use.

    Nobody waits long: not for a connection, a lock or a query. A dead connection is found by `limited_transaction`'s
    first statement, so no request pays for a ping.
    """
    return create_engine(
        _dialect_url(limited_url()),
        pool_size=get_settings().api_connections,
        max_overflow=0,
        pool_timeout=_CONNECTION_WAIT_S,
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args={
            "options": "-c timezone=UTC -c statement_timeout=30s -c lock_timeout=5s"
            " -c idle_in_transaction_session_timeout=60s -c jit=off",
            "connect_timeout": 5,
        },
    )


def watch_statements(begin: Callable[[str], Any], end: Callable[[Any], None]) -> None:
    """Have `begin` called with the text of each statement of the API, and `end` with what it answered, unless None."""
    on = limited_engine()

    @event.listens_for(on, "before_cursor_execute")
    def _(_: Any, __: Any, statement: str, ___: Any, context: Any, ____: Any) -> None:
        context.watched = begin(statement)

    @event.listens_for(on, "after_cursor_execute")
    def _(_: Any, __: Any, ___: str, ____: Any, context: Any, _____: Any) -> None:
        if context.watched is not None:
            end(context.watched)

    @event.listens_for(on, "handle_error")
    def _(failed: Any) -> None:
        watched = getattr(failed.execution_context, "watched", None)
        if watched is not None:
            end(watched)


def connections_in_use() -> int:
    """Connections of the API's engine that somebody holds now; 0 before its first use."""
    pool = limited_engine().pool if limited_engine.cache_info().currsize else None
    return pool.checkedout() if isinstance(pool, QueuePool) else 0


def _dialect_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def require_limited_role() -> None:
    """Refuse to serve people through a role that no policy binds: a superuser, one that bypasses, an owner."""
    with limited_engine().connect() as connection:
        role = connection.execute(
            text("""
                select rolname, rolsuper, rolbypassrls,
                       exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                               where n.nspname = 'public' and pg_has_role(r.oid, c.relowner, 'member')) as owns
                from pg_roles r where rolname = current_user
            """)
        ).one()
    powers = [
        word
        for word, has in (
            ("is a superuser", role.rolsuper),
            ("bypasses row-level security", role.rolbypassrls),
            ("owns tables of ours", role.owns),
        )
        if has
    ]
    if powers:
        raise Refused(
            f"the API would connect as {role.rolname!r}, which {' and '.join(powers)}: no policy would bind it."
            f" Set API_DATABASE_URL to the role {API_ROLE} (the migrations make it) or to one granted the same rights"
        )


def transaction() -> AbstractContextManager[Session]:
    """One unit of work for a door: commits at the end, rolls back on any error.

    Raises Unreachable when the server cannot be reached or goes away: whether a commit then happened is unknown,
    so every verb is written to be repeated safely.
    """
    return _transaction(engine())


def limited_transaction(begin: Callable[[Session], None] | None = None) -> AbstractContextManager[Session]:
    """The same for the API's role: sees no client's row until `auth.scope.enter` has said who acts.

    `begin` is the first thing done in it, and done again on a new connection where the server had been restarted since
    the old one was last used.
    """
    return _transaction(limited_engine(), begin)


@contextmanager
def _transaction(on: Engine, begin: Callable[[Session], None] | None = None) -> Iterator[Session]:
    session = Session(on, expire_on_commit=False)
    try:
        if begin is not None:
            _begin(session, begin)
        yield session
        session.commit()
        for act in session.info.pop(_AFTER_COMMIT, ()):
            act()
    except OperationalError as error:
        if error.connection_invalidated or getattr(error.orig, "sqlstate", None) is None:
            raise Unreachable(f"the database does not answer: {error.orig}") from error
        raise
    except TimeoutError as error:
        raise Unreachable("every connection to the database is in use: try again in a moment") from error
    finally:
        session.close()


def _begin(session: Session, begin: Callable[[Session], None]) -> None:
    try:
        begin(session)
    except OperationalError as error:
        if not error.connection_invalidated:
            raise
        session.rollback()
        begin(session)


def after_commit(session: Session, act: Callable[[], None]) -> None:
    """Have `act` done once this transaction is committed, and never when it is not."""
    session.info.setdefault(_AFTER_COMMIT, []).append(act)


def is_bad_value(error: DatabaseError) -> bool:
    """Whether a value of ours could not even be sent, because no column holds such a thing."""
    return isinstance(error, DataError)


def advisory_lock(session: Session, name: str, *, is_shared: bool = False) -> None:
    """Hold the lock `name` until this transaction ends; waits for whoever holds it.

    Those who share it do not wait for one another, only for one who wants it alone.
    """
    take = "pg_advisory_xact_lock_shared" if is_shared else "pg_advisory_xact_lock"
    session.execute(text(f"select {take}(hashtextextended(:name, 0))"), {"name": name})


def dispose() -> None:
    """Forget the engine and the URL: after a fork, and between tests."""
    for made in (engine, limited_engine):
        if made.cache_info().currsize:
            made().dispose()
        made.cache_clear()
    limited_url.cache_clear()
    database_url.cache_clear()
