"""Brings the schema up to date, and tells whether it is."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from core.config import REPOSITORY
from database.base import Base

_MIGRATIONS = REPOSITORY / "migrations"


def _config(connection: Connection) -> Config:
    config = Config(str(_MIGRATIONS / "alembic.ini"))
    config.attributes["connection"] = connection
    return config


def newest_revision() -> str:
    """The revision that the code expects."""
    head = ScriptDirectory(str(_MIGRATIONS)).get_current_head()
    assert head is not None
    return head


def current_revision(engine: Engine) -> str | None:
    """The revision that the database has; None for an empty database."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def server_version(engine: Engine) -> int:
    """Major version of the PostgreSQL server."""
    with engine.connect() as connection:
        return int(connection.scalar(text("show server_version_num"))) // 10_000


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Upgrade to the newest revision; returns (before, after). Two at once: the second waits, then finds it done."""
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(hashtextextended('acis:migrate', 0))"))
        before = MigrationContext.configure(connection).get_current_revision()
        command.upgrade(_config(connection), "head")
        after = MigrationContext.configure(connection).get_current_revision()
    assert after is not None
    return before, after


def differences(engine: Engine) -> list[object]:
    """What the mapped tables hold that the migrations do not make, and the other way round; empty when they agree."""
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda thing, name, kind, reflected, other: (
                    not (kind == "table" and name.startswith("daily_bars_"))
                ),
            },
        )
        return list(compare_metadata(context, Base.metadata))
