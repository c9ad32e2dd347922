"""Runs the migrations on the connection handed in, with lock and statement timeouts.

A migration that cannot get its lock within five seconds gives up instead of queueing every other query behind it.
"""

from alembic import context
from sqlalchemy import text

import database.tables
from database.base import Base

assert database.tables.TABLES


def include_object(_thing: object, name: str | None, kind: str, reflected: bool, _compare_to: object) -> bool:
    """Partitions are made by migrations, not mapped: leave them out of comparisons."""
    return not (kind == "table" and reflected and name is not None and name.startswith("daily_bars_"))


connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=Base.metadata, include_object=include_object, compare_type=True
)
with context.begin_transaction():
    connection.execute(text("set local lock_timeout = '5s'"))
    connection.execute(text("set local statement_timeout = '300s'"))
    context.run_migrations()
