"""The schema as migrated, and the guards that live in it."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from database.schema import differences, migrate, newest_revision
from tests.factories.accounts import create_account


class TestMigrations:
    def test_tables_and_migrations_agree(self, worker_database: str) -> None:
        engine = create_engine(worker_database.replace("postgresql://", "postgresql+psycopg://", 1))
        assert differences(engine) == []
        engine.dispose()

    def test_migrating_twice_changes_nothing(self, worker_database: str) -> None:
        engine = create_engine(worker_database.replace("postgresql://", "postgresql+psycopg://", 1))
        assert migrate(engine) == (newest_revision(), newest_revision())
        engine.dispose()

    def test_no_money_column_is_a_float(self, session: Session) -> None:
        floats = session.execute(
            text(
                "select table_name || '.' || column_name from information_schema.columns"
                " where table_schema = 'public' and column_name like '%usd%' and data_type <> 'numeric'"
            )
        ).scalars()
        assert list(floats) == []


def book(session: Session, account_id: int, amounts: list[int]) -> int:
    entry: int = session.execute(
        text(
            "insert into journal_entries (account_id, booked_on, kind, source_key, memo)"
            " values (:account, '2017-06-30', 'deposit', 'test', 'test') returning entry_id"
        ),
        {"account": account_id},
    ).scalar_one()
    for line, amount in enumerate(amounts):
        session.execute(
            text("insert into journal_lines (entry_id, line, ledger_account, amount_usd) values (:e, :l, 'cash', :a)"),
            {"e": entry, "l": line, "a": amount},
        )
    return entry


class TestJournalGuards:
    def test_balanced_entry_is_accepted(self, session: Session) -> None:
        book(session, create_account(session).account_id, [5, -5])
        session.execute(text("set constraints all immediate"))

    @pytest.mark.parametrize("amounts", [[], [0], [5, -4], [5, 5]])
    def test_unbalanced_entry_is_refused(self, session: Session, amounts: list[int]) -> None:
        book(session, create_account(session).account_id, amounts)
        with pytest.raises(DBAPIError, match="is not balanced"):
            session.execute(text("set constraints all immediate"))

    @pytest.mark.parametrize(
        "statement",
        [
            "update journal_lines set amount_usd = 0",
            "delete from journal_entries",
            "truncate journal_entries cascade",
        ],
    )
    def test_history_cannot_be_changed(self, session: Session, statement: str) -> None:
        book(session, create_account(session).account_id, [5, -5])
        session.execute(text("set constraints all immediate"))
        with pytest.raises(DBAPIError, match="append-only"):
            session.execute(text(statement))
