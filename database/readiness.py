"""Whether the API may serve: its role sees a database whose schema is the code's."""

import re
from functools import cache

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, TimeoutError

from core.config import REPOSITORY
from database.session import limited_engine

_REVISION = re.compile(r"""^(revision|down_revision)\s*=\s*["']([^"']+)["']""", re.MULTILINE)


def why_not_ready() -> list[str]:
    """Sentences; none when all is well."""
    try:
        with limited_engine().connect() as connection:
            found = connection.scalar(text("select version_num from alembic_version"))
    except (DBAPIError, TimeoutError) as error:
        return [f"the database does not answer ({type(error).__name__})"]
    if found != expected_revision():
        return [f"the schema is at revision {found}, the code expects {expected_revision()}: run `acis migrate`"]
    return []


@cache
def expected_revision() -> str:
    """The newest migration, read from the files' own heads: Alembic itself would be ten megabytes for one word."""
    revisions, followed = set(), set()
    for path in (REPOSITORY / "migrations" / "versions").glob("*.py"):
        named = dict(_REVISION.findall(path.read_text()))
        revisions.add(named["revision"])
        followed.add(named.get("down_revision"))
    newest: str
    (newest,) = revisions - followed
    return newest
