"""Real Postgres for every test: one database per worker, made from a migrated template, rolled back per test."""

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import hypothesis
import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

import api.cache
import auth.audit
import auth.tokens
import auth.vault
import core.config
import database.session
from core.clock import fixed_clock
from core.config import REPOSITORY
from database.embedded import start_embedded
from database.schema import migrate
from database.session import API_ROLE, as_role, with_database

os.environ["ACIS_ENVIRONMENT"] = "test"
# A test asks more often than a person; those of the rate limit set their own.
os.environ["ACIS_REQUESTS_PER_MINUTE"] = os.environ["ACIS_MACHINE_REQUESTS_PER_MINUTE"] = "1000000"
hypothesis.settings.register_profile("acis", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("acis")
NOW = datetime(2020, 4, 2, 12, 0, tzinfo=UTC)


def pytest_configure() -> None:
    """A test that asks for no database gets none: never the one that somebody works with in this checkout."""
    os.environ["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:9/none"
    os.environ["ACIS_VAR_DIR"] = str(Path(tempfile.gettempdir()) / "acis-tests-without-a-folder")


@pytest.fixture(scope="session")
def server() -> str:
    """URL of the test server: TEST_DATABASE_URL, or an embedded one that all workers share."""
    if "TEST_DATABASE_URL" in os.environ:
        return os.environ["TEST_DATABASE_URL"]
    url = start_embedded(REPOSITORY / "var" / "test-postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        # What a power cut would leave of test data is of no interest: no waiting for the disk.
        connection.execute("alter system set fsync = off")
        connection.execute("select pg_reload_conf()")
    return url


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """Name of a migrated, empty database, made once per state of the migrations."""
    migrations = sorted((REPOSITORY / "migrations" / "versions").glob("*.py"))
    name = f"template_{sha256(b''.join(path.read_bytes() for path in migrations)).hexdigest()[:16]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(42)")
        if not connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone():
            connection.execute(f'drop database if exists "{name}_building"')
            connection.execute(f'create database "{name}_building"')
            url = with_database(server, f"{name}_building")
            engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
            migrate(engine)
            engine.dispose()
            connection.execute(f'alter database "{name}_building" rename to "{name}"')
    return name


def _fresh_database(server: str, template: str, name: str) -> str:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(42)")
        connection.execute(f'drop database if exists "{name}" with (force)')
        connection.execute(f'create database "{name}" template "{template}"')
    return with_database(server, name)


def _drop_database(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'drop database if exists "{name}" with (force)')


@pytest.fixture(scope="session")
def worker_database(server: str, template: str, worker_id: str) -> Iterator[str]:
    """This worker's own database; nothing is ever committed to it."""
    name = f"test_{worker_id}_{os.getpid()}"
    yield _fresh_database(server, template, name)
    _drop_database(server, name)


@pytest.fixture
def session(worker_database: str) -> Iterator[Session]:
    """A session whose transaction is rolled back after the test, whatever the test commits."""
    engine = create_engine(worker_database.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        outer = connection.begin()
        session = sessionmaker(connection, expire_on_commit=False, join_transaction_mode="create_savepoint")()
        yield session
        session.close()
        outer.rollback()
    engine.dispose()


@pytest.fixture(scope="module")
def committed_database(
    server: str, template: str, worker_id: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A database and a var/ folder of this module's own, for what needs several connections.

    Inside the module `database.session.transaction()`, `read_frame` and `get_settings()` all use them.
    """
    name = f"module_{worker_id}_{os.getpid()}_{request.module.__name__.rsplit('.', 1)[-1]}"[:63]
    url = _fresh_database(server, template, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        patch.setenv("API_DATABASE_URL", as_role(url, API_ROLE))
        patch.setenv("ACIS_VAR_DIR", str(tmp_path_factory.mktemp("var")))
        _forget()
        yield url
    _forget()
    _drop_database(server, name)


def _forget() -> None:
    """What a process keeps of its database and folder: another module has others."""
    core.config.get_settings.cache_clear()
    database.session.dispose()
    auth.tokens._secrets.cache_clear()
    auth.vault._keys.cache_clear()
    api.cache.comfort.cache_clear()
    auth.audit._recent._seen.clear()


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    """Time stands still."""
    with fixed_clock(NOW):
        yield


@pytest.fixture
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY
