"""Row-level security on every table that tells of a client, as the API's role meets it."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from datetime import date, timedelta

import psycopg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

import core.config
import database.session
from api.app import create_app
from auth.actor import Actor
from auth.roles import permissions_of
from auth.scope import enter
from core.errors import NotSignedIn, Refused
from database.session import API_ROLE, as_role, limited_transaction, require_limited_role, transaction
from database.tables.households import AdvisorAssignment
from database.tables.jobs import QueuedJob
from database.tables.runs import Run
from database.tables.users import User
from tests.conftest import NOW
from tests.factories.practices import Practice, create_practice

PEOPLE = ("admin", "service", "advisor", "other_advisor", "analyst", "viewer", "former_advisor")
ROLES = {"other_advisor": "advisor", "former_advisor": "analyst"}
# Rows that belong to the firm, not to an advisor: only those who see all see them.
FIRM_ONLY = ("runs", "audit", "audit_seals")
# Own rows by the user's own number, whatever clients they see: one's keys, and the work one asked for.
BY_USER = ("idempotency_keys",)
# Point at a guarded row and need no policy: (table, why).
WITHOUT_POLICY = {
    "backtests": "a back-test is hypothetical, tells of no client, and everybody who researches may read it"
}


@dataclass(frozen=True)
class Tenants:
    """Two practices side by side, everybody's number, and each table's rows by whose they are."""

    users: dict[str, int]
    own: Practice
    foreign: Practice
    rows: dict[str, dict[str, set[str]]]


@pytest.fixture(scope="module")
def tenants(committed_database: str) -> Tenants:
    users = {}
    with transaction() as session:
        for person in PEOPLE:
            user = User(email=f"{person}@firm.example", name=person, role=ROLES.get(person, person))
            session.add(user)
            session.flush()
            users[person] = user.user_id
        tables = guarded_tables(session)
        empty = rows_by_table(session, tables)
        own = create_practice(session, advisor_id=users["advisor"], word="Ownword")
        first = rows_by_table(session, tables)
        foreign = create_practice(session, advisor_id=users["other_advisor"], word="Foreignword")
        second = rows_by_table(session, tables)
        for person in ("viewer", "former_advisor"):
            session.add(
                AdvisorAssignment(advisor_id=users[person], client_id=own.ids["client_id"], start_on=date(2017, 1, 1))
            )
        session.add(
            Run(
                job="nightly",
                as_of=date(2017, 6, 30),
                book="paper",
                status="succeeded",
                code_commit="",
                steps={"scores": 1.5},
                result={"counts": {"orders": 2}, "clients": [{"client": "Foreignword"}]},
            )
        )
        session.execute(text("insert into audit_seals select 1, min(audit_id), '', '' from audit"))
    rows = {table: {"own": first[table] - empty[table], "foreign": second[table] - first[table]} for table in tables}
    return Tenants(users, own, foreign, rows)


def guarded_tables(session: Session) -> list[str]:
    """Every table with a policy, as the database has it."""
    return list(
        session.scalars(text("select distinct tablename from pg_policies where schemaname = 'public' order by 1"))
    )


def rows_by_table(session: Session, tables: list[str]) -> dict[str, set[str]]:
    return {table: set(session.scalars(text(f"select t::text from {table} t"))) for table in tables}


def actor_of(tenants: Tenants, person: str) -> Actor:
    role = ROLES.get(person, person)
    return Actor(
        user_id=tenants.users[person],
        email=f"{person}@firm.example",
        role=role,
        epoch=1,
        via="bearer",
        permissions=permissions_of(role),
    )


@contextmanager
def acting(tenants: Tenants, person: str) -> Iterator[Session]:
    """The person's transaction, undone at its end."""
    with limited_transaction() as session:
        enter(session, actor_of(tenants, person))
        yield session
        session.rollback()


def refusal(session: Session, statement: str, **values: object) -> str | None:
    """The SQLSTATE that the statement was refused with; None where it ran."""
    try:
        with session.begin_nested():
            session.execute(text(statement), values)
    except DBAPIError as error:
        state: str = error.orig.sqlstate  # type: ignore[union-attr]
        return state
    return None


REFUSED_BY_RIGHTS = "42501"
MISSING_PARENT = "23503"


class TestTables:
    def test_every_table_that_leads_to_a_client_has_policies(self, tenants: Tenants) -> None:
        with transaction() as session:
            guarded = set(guarded_tables(session))
            pointing = set(
                session.scalars(
                    text("""
                        with recursive leads(oid) as (
                            select 'clients'::regclass::oid
                            union
                            select conrelid from pg_constraint join leads on confrelid = leads.oid where contype = 'f'
                        )
                        select oid::regclass::text from leads
                    """)
                )
            )
            columns = set(
                session.scalars(
                    text("""
                        select table_name from information_schema.columns
                        where table_schema = 'public' and table_name not in (select viewname from pg_views)
                          and column_name in (
                            select a.attname from pg_index i join pg_attribute a
                                on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                            where i.indisprimary and i.indnkeyatts = 1 and i.indrelid::regclass::text = any(:guarded))
                    """),
                    {"guarded": sorted(guarded)},
                )
            )
        assert {"fills", "reports", "job_events", "clients"} <= pointing
        assert pointing | columns <= guarded | set(WITHOUT_POLICY)

    def test_policies_bind_the_owner_too(self, tenants: Tenants) -> None:
        with transaction() as session:
            loose = session.scalars(
                text("""
                    select relname from pg_class
                    where relname = any(:tables) and relnamespace = 'public'::regnamespace
                      and not (relrowsecurity and relforcerowsecurity)
                """),
                {"tables": guarded_tables(session)},
            ).all()
        assert loose == []

    def test_both_practices_have_a_row_in_every_table(self, tenants: Tenants) -> None:
        poor = {
            table
            for table, rows in tenants.rows.items()
            if table not in FIRM_ONLY and not (rows["own"] and rows["foreign"])
        }
        assert poor == set(), "create_practice leaves nothing in these tables: what follows would prove nothing of them"

    def test_nobody_entered_sees_nothing(self, tenants: Tenants) -> None:
        with limited_transaction() as session:
            seen = rows_by_table(session, sorted(tenants.rows))
        assert {table for table, rows in seen.items() if rows} == set()

    @pytest.mark.parametrize("person", ["advisor", "other_advisor"])
    def test_advisor_sees_own_rows_and_no_other(self, tenants: Tenants, person: str) -> None:
        mine = "own" if person == "advisor" else "foreign"
        with acting(tenants, person) as session:
            seen = rows_by_table(session, sorted(tenants.rows))
        expected = {table: set() if table in FIRM_ONLY else rows[mine] for table, rows in tenants.rows.items()}
        assert seen == expected

    def test_viewer_sees_the_clients_they_are_assigned_to(self, tenants: Tenants) -> None:
        with acting(tenants, "viewer") as session:
            seen = rows_by_table(session, sorted(tenants.rows))
        by_person = {*FIRM_ONLY, *BY_USER, "advisor_assignments"}
        assert {table: rows for table, rows in seen.items() if table not in by_person} == {
            table: rows["own"] for table, rows in tenants.rows.items() if table not in by_person
        }
        assert len(seen["advisor_assignments"]) == 1

    @pytest.mark.parametrize("person", ["analyst", "former_advisor"])
    def test_analyst_sees_nothing_of_anybody(self, tenants: Tenants, person: str) -> None:
        with acting(tenants, person) as session:
            seen = rows_by_table(session, sorted(tenants.rows))
        assert {table for table, rows in seen.items() if rows} == set()

    @pytest.mark.parametrize("person", ["admin", "service"])
    def test_who_runs_the_firm_sees_the_firm(self, tenants: Tenants, person: str) -> None:
        with transaction() as session:
            everything = rows_by_table(session, sorted(tenants.rows))
        with acting(tenants, person) as session:
            seen = rows_by_table(session, sorted(tenants.rows))
        others = set(BY_USER)
        assert {t: r for t, r in seen.items() if t not in others} == {
            t: r for t, r in everything.items() if t not in others
        }

    def test_assignment_counts_from_its_first_to_before_its_last_day(self, tenants: Tenants) -> None:
        today = NOW.date()
        spells = {
            (today, None): 2,
            (today + timedelta(days=1), None): 1,
            (today - timedelta(days=9), today): 1,
            (today - timedelta(days=9), today + timedelta(days=1)): 2,
        }
        for (start_on, end_on), count in spells.items():
            with acting(tenants, "admin") as session:
                session.execute(
                    text("insert into advisor_assignments values (:advisor, :client, :start_on, :end_on)"),
                    {
                        "advisor": tenants.users["advisor"],
                        "client": tenants.foreign.ids["client_id"],
                        "start_on": start_on,
                        "end_on": end_on,
                    },
                )
                enter(session, actor_of(tenants, "advisor"))
                assert session.scalar(text("select count(*) from clients")) == count, (start_on, end_on)


class TestWrites:
    def test_statement_without_where_touches_own_rows_only(self, tenants: Tenants) -> None:
        touched, expected, refused = {}, {}, set()
        for table, rows in tenants.rows.items():
            for verb in (f"update {table} set {first_column(table)} = {first_column(table)}", f"delete from {table}"):
                with acting(tenants, "advisor") as session:
                    try:
                        touched[verb] = session.execute(text(verb)).rowcount  # type: ignore[attr-defined]
                    except DBAPIError as error:
                        # Append-only, or other rows of one's own hang on them: the policies let nothing through first.
                        refused.add(error.orig.sqlstate)  # type: ignore[union-attr]
                        continue
                # Assignments are the admin's to write.
                expected[verb] = 0 if table in (*FIRM_ONLY, "advisor_assignments") else len(rows["own"])
        assert touched == expected
        assert refused <= {REFUSED_BY_RIGHTS, MISSING_PARENT}
        assert len(touched) > len(tenants.rows)

    def test_foreign_rows_cannot_be_written(self, tenants: Tenants) -> None:
        """Committed, as each would be: afterwards every foreign row stands as it stood."""
        for table in tenants.rows:
            with limited_transaction() as session:
                enter(session, actor_of(tenants, "advisor"))
                for verb in (
                    f"update {table} set {first_column(table)} = {first_column(table)} where {is_foreign(table)}",
                    f"delete from {table} where {is_foreign(table)}",
                ):
                    refused = refusal(session, verb, rows=sorted(tenants.rows[table]["foreign"]))
                    assert refused in (None, REFUSED_BY_RIGHTS), (verb, refused)
        with transaction() as session:
            after = rows_by_table(session, sorted(tenants.rows))
        for table, rows in tenants.rows.items():
            assert rows["foreign"] <= after[table], table

    @pytest.mark.parametrize("person", ["advisor", "analyst", "former_advisor"])
    def test_foreign_rows_cannot_be_added(self, tenants: Tenants, person: str) -> None:
        let_in = {}
        for table, rows in tenants.rows.items():
            if table == "audit":
                continue
            with acting(tenants, person) as session:
                for row in rows["foreign"]:
                    refused = refusal(
                        session,
                        f"insert into {table} overriding system value select (cast(:row as {table})).*",
                        row=row,
                    )
                    if refused not in (REFUSED_BY_RIGHTS, MISSING_PARENT):
                        let_in[table] = refused
        assert let_in == {}

    def test_own_rows_cannot_be_pointed_at_foreign_ones(self, tenants: Tenants) -> None:
        """Every key of every guarded table: an order of one's own with a foreign recommendation, a client in a foreign
        household, a job with a foreign account."""
        let_in, tried = {}, set()
        for table, column, parent in pointers():
            foreign = tenants.foreign.ids.get(parent)
            if foreign is None or not tenants.rows[table]["own"]:
                continue
            tried.add((table, column))
            with acting(tenants, "advisor") as session:
                refused = refusal(
                    session,
                    f"update {table} set {column} = :foreign where {is_foreign(table)}",
                    foreign=foreign,
                    rows=sorted(tenants.rows[table]["own"]),
                )
            if refused not in (REFUSED_BY_RIGHTS, MISSING_PARENT):
                let_in[f"{table}.{column}"] = refused
        assert {
            ("accounts", "client_id"),
            ("clients", "household_id"),
            ("orders", "recommendation_id"),
            ("jobs", "account_id"),
            ("jobs", "retry_of"),
            ("reports", "job_id"),
            ("tax_lots", "fill_id"),
        } <= tried
        # Nobody but the admin writes assignments, so no row of these is reached at all.
        assert let_in in ({}, {"advisor_assignments.client_id": None})

    def test_advisor_cannot_assign_himself(self, tenants: Tenants) -> None:
        with acting(tenants, "advisor") as session:
            refused = refusal(
                session,
                "insert into advisor_assignments values (:me, :client, '2017-01-01', null)",
                me=tenants.users["advisor"],
                client=tenants.foreign.ids["client_id"],
            )
            assert refused == REFUSED_BY_RIGHTS
            own = session.execute(text("update advisor_assignments set end_on = null where end_on is null"))
            assert own.rowcount == 0  # type: ignore[attr-defined]

    def test_advisor_asks_for_no_work_on_foreign_accounts_or_in_anothers_name(self, tenants: Tenants) -> None:
        ids = tenants.foreign.ids
        me, other = tenants.users["advisor"], tenants.users["other_advisor"]
        asked = [
            (REFUSED_BY_RIGHTS, me, None, ids["account_id"]),
            (REFUSED_BY_RIGHTS, me, ids["client_id"], None),
            (REFUSED_BY_RIGHTS, other, None, None),
            (REFUSED_BY_RIGHTS, None, None, None),
            (None, me, tenants.own.ids["client_id"], tenants.own.ids["account_id"]),
        ]
        for expected, requested_by, client_id, account_id in asked:
            with acting(tenants, "advisor") as session:
                refused = refusal(
                    session,
                    "insert into jobs (name, payload, actor, requested_by, client_id, account_id)"
                    " values ('nightly', '{}', 'me', :by, :client, :account)",
                    by=requested_by,
                    client=client_id,
                    account=account_id,
                )
                assert refused == expected, (requested_by, client_id, account_id)

    def test_own_job_is_hidden_with_its_client(self, tenants: Tenants) -> None:
        """Whoever looks after a client no more sees no more of what they once asked for about him."""
        with acting(tenants, "admin") as session:
            for is_private in (True, False):
                job = QueuedJob(
                    name="report",
                    payload={},
                    requested_by=tenants.users["advisor"],
                    actor="me",
                    client_id=tenants.foreign.ids["client_id"],
                    is_private=is_private,
                )
                session.add(job)
                session.flush()
                enter(session, actor_of(tenants, "advisor"))
                assert session.scalar(text("select count(*) from jobs where job_id = :key"), {"key": job.job_id}) == 0
                enter(session, actor_of(tenants, "admin"))

    def test_work_that_tells_of_no_client_is_seen_by_all_unless_private(self, tenants: Tenants) -> None:
        with acting(tenants, "admin") as session:
            for is_private in (True, False):
                session.add(QueuedJob(name="nightly", payload={}, actor="timetable", is_private=is_private))
            session.flush()
            for person in ("analyst", "advisor"):
                enter(session, actor_of(tenants, person))
                seen = session.scalars(text("select is_private from jobs where actor = 'timetable'")).all()
                assert seen == [False]

    def test_switches_of_the_firm_are_the_admins(self, tenants: Tenants) -> None:
        throw = "insert into kill_switches (scope, client_id, reason, engaged_by) values (:scope, :client, 'x', 'x')"
        with acting(tenants, "advisor") as session:
            assert refusal(session, throw, scope="everything", client=None) == REFUSED_BY_RIGHTS
            assert refusal(session, throw, scope="client", client=tenants.foreign.ids["client_id"]) == REFUSED_BY_RIGHTS
            assert refusal(session, throw, scope="client", client=tenants.own.ids["client_id"]) is None
        with acting(tenants, "admin") as session:
            session.execute(text(throw), {"scope": "everything", "client": None})
            enter(session, actor_of(tenants, "advisor"))
            released = session.execute(
                text("update kill_switches set released_at = now(), released_by = 'x' where scope = 'everything'")
            )
            assert released.rowcount == 0  # type: ignore[attr-defined]
            assert session.scalar(text("select count(*) from kill_switches where scope = 'everything'")) == 1

    def test_history_and_evidence_cannot_be_rewritten(self, tenants: Tenants) -> None:
        statements = [
            *(
                f"{verb} {table}{' set ' + column if verb == 'update' else ''}"
                for table, column in (
                    ("audit", "actor = 'x'"),
                    ("audit_seals", "hash = 'x'"),
                    ("journal_entries", "memo = 'x'"),
                    ("journal_lines", "line = 1"),
                    ("order_events", "to_state = 'x'"),
                    ("fills", "price = 1"),
                    ("night_reports", "status = 'failed'"),
                    ("runs", "status = 'failed'"),
                    ("alembic_version", "version_num = 'x'"),
                )
                for verb in ("update", "delete from")
            ),
            "truncate clients cascade",
            "insert into audit_seals values (2, 2, '', '')",
            "create table mine (one int)",
            "alter table clients disable row level security",
            "drop policy tenant on clients",
            "set role postgres",
            "set session authorization postgres",
            "alter role acis_api bypassrls",
            "select setval('clients_client_id_seq', 1)",
            "select last_value from clients_client_id_seq",
        ]
        with acting(tenants, "admin") as session:
            let_in = [statement for statement in statements if refusal(session, statement) != REFUSED_BY_RIGHTS]
        assert let_in == []


def first_column(table: str) -> str:
    with transaction() as session:
        name: str = session.execute(
            text("select attname from pg_attribute where attrelid = cast(:table as regclass) and attnum = 1"),
            {"table": table},
        ).scalar_one()
    return name


def is_foreign(table: str) -> str:
    return f"{table}::text = any(:rows)"


def pointers() -> list[tuple[str, str, str]]:
    """Every key from a guarded table to a guarded table: (table, column, the parent's own column)."""
    with transaction() as session:
        return [
            (table, column, parent)
            for table, column, parent in session.execute(
                text("""
                    select c.conrelid::regclass::text, a.attname, p.attname
                    from pg_constraint c
                    join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
                    join pg_attribute p on p.attrelid = c.confrelid and p.attnum = c.confkey[1]
                    where c.contype = 'f' and c.conrelid::regclass::text = any(:guarded)
                      and c.confrelid::regclass::text = any(:guarded) and cardinality(c.conkey) = 1
                """),
                {"guarded": guarded_tables(session)},
            )
        ]


class TestBackDoors:
    def test_functions_of_the_owner_trust_no_callers_tables(self, tenants: Tenants) -> None:
        with transaction() as session:
            loose = session.scalars(
                text("""
                    select proname from pg_proc
                    where pronamespace = 'public'::regnamespace and prosecdef
                      and (proconfig is null or not 'search_path=pg_catalog, public, pg_temp' = any(proconfig))
                """)
            ).all()
        assert loose == [], "set search_path = pg_catalog, public, pg_temp: else a temporary table is taken for ours"

    def test_functions_are_not_everybodys(self, tenants: Tenants) -> None:
        with transaction() as session:
            loose = session.scalars(
                text("""
                    select proname from pg_proc
                    where pronamespace = 'public'::regnamespace and prorettype <> 'trigger'::regtype
                      and has_function_privilege('public', oid, 'execute')
                """)
            ).all()
        assert loose == []

    def test_views_are_known_and_read_only(self, tenants: Tenants) -> None:
        with transaction() as session:
            views = session.scalars(text("select viewname from pg_views where schemaname = 'public'")).all()
            writable = session.scalars(
                text("""
                    select relname from pg_class
                    where relkind = 'v' and relnamespace = 'public'::regnamespace
                      and has_table_privilege('acis_api', oid, 'insert, update, delete, truncate')
                """)
            ).all()
        assert views == ["night_reports"], "a view reads as its owner, past every policy: judge a new one here"
        assert writable == []

    def test_nights_report_names_no_client(self, tenants: Tenants) -> None:
        with acting(tenants, "analyst") as session:
            (report,) = session.scalars(text("select night_reports::text from night_reports")).all()
        assert "orders" in report
        assert "Foreignword" not in report

    def test_registering_a_client_opens_no_foreign_household(self, tenants: Tenants) -> None:
        register = "select acis_register_client(:household, 'Spy', null, 'balanced', '2017-01-01')"
        foreign, own = tenants.foreign.ids["household_id"], tenants.own.ids["household_id"]
        with acting(tenants, "advisor") as session:
            assert refusal(session, register, household=foreign) == MISSING_PARENT
            assert refusal(session, register, household=999_999) == MISSING_PARENT
            assert refusal(session, register, household=own) is None
            assert session.scalar(text("select count(*) from clients")) == 2
        for person in ("analyst", "former_advisor"):
            with acting(tenants, person) as session:
                assert refusal(session, register, household=own) == REFUSED_BY_RIGHTS
        with limited_transaction() as session:
            assert refusal(session, register, household=own) == REFUSED_BY_RIGHTS

    def test_registering_goes_into_ones_own_new_household(self, tenants: Tenants) -> None:
        with acting(tenants, "advisor") as session:
            key = session.scalar(
                text("insert into households (name, created_by) values ('New', :me) returning household_id"),
                {"me": tenants.users["advisor"]},
            )
            register = text("select acis_register_client(:key, 'New one', null, 'balanced', '2017-01-01')")
            client_id = session.scalar(register, {"key": key})
            assert session.scalar(text("select name from clients where client_id = :key"), {"key": client_id})
            enter(session, actor_of(tenants, "other_advisor"))
            assert refusal(session, str(register), key=key) == MISSING_PARENT

    def test_household_is_a_secret_to_others(self, tenants: Tenants) -> None:
        with acting(tenants, "admin") as session:
            key = session.scalar(
                text("insert into households (name, created_by) values ('Empty', :them) returning household_id"),
                {"them": tenants.users["other_advisor"]},
            )
            for person in ("advisor", "analyst"):
                enter(session, actor_of(tenants, person))
                asked = [
                    session.scalar(text("select acis_household_is_empty(:key)"), {"key": number})
                    for number in (key, tenants.foreign.ids["household_id"])
                ]
                assert asked == [False, False]

    def test_callers_temporary_table_is_not_taken_for_ours(self, tenants: Tenants) -> None:
        with acting(tenants, "advisor") as session:
            session.execute(
                text("create temporary table clients (client_id bigint, household_id bigint) on commit drop")
            )
            session.execute(text("create temporary table households (household_id bigint) on commit drop"))
            refused = refusal(
                session,
                "select acis_register_client(:household, 'Spy', null, 'balanced', '2017-01-01')",
                household=tenants.foreign.ids["household_id"],
            )
            assert refused == MISSING_PARENT

    def test_statistics_tell_nothing_of_guarded_tables(self, tenants: Tenants) -> None:
        with transaction() as session:
            session.execute(text("analyze clients, accounts, orders, instruments"))
        with acting(tenants, "advisor") as session:
            told = set(session.scalars(text("select tablename from pg_stats where schemaname = 'public'")))
        assert not told & set(tenants.rows)

    def test_clash_with_a_foreign_row_shows_none_of_it(self, tenants: Tenants) -> None:
        with acting(tenants, "advisor") as session:
            statement = text(
                "insert into orders (client_order_id, account_id, instrument_id, session_on, side, quantity, state,"
                " broker) select 'Foreignword-buy', :account, instrument_id, '2017-06-30', 'buy', 1, 'planned', 'paper'"
                " from instruments limit 1"
            )
            with pytest.raises(DBAPIError) as caught:
                session.execute(statement, {"account": tenants.own.ids["account_id"]})
        told = str(caught.value.orig)
        assert "uq_orders_client_order_id" in told
        assert "Foreignword" not in told

    def test_foreign_rows_are_not_evaluated_before_the_policy(self, tenants: Tenants) -> None:
        """A condition that would fail on a foreign row, were it ever shown one."""
        with acting(tenants, "advisor") as session:
            session.execute(
                text("select * from clients where 1 / (case when name like 'Foreign%' then 0 else 1 end) = 1")
            ).all()


class TestTransactions:
    def test_who_acts_is_forgotten_with_the_transaction(self, tenants: Tenants) -> None:
        """A thousand looks by everybody over a few pooled connections, some broken off: each sees what is theirs."""
        expected = {"admin": 2, "advisor": 1, "other_advisor": 1, "analyst": 0, None: 0}
        own = {"advisor": "Ownword Person", "other_advisor": "Foreignword Person"}
        context = copy_context()

        def look(seed: int) -> list[str]:
            choice = random.Random(seed)
            person = choice.choice([*expected])
            try:
                with limited_transaction() as session:
                    if person is not None:
                        enter(session, actor_of(tenants, person))
                    names = list(session.scalars(text("select name from clients")))
                    if choice.random() < 0.2:
                        session.execute(text("select 1 / 0"))
                    if choice.random() < 0.2:
                        session.rollback()
                        names += session.scalars(text("select name from clients"))
            except DBAPIError:
                assert "names" in locals()
            wrong = len(names) != expected[person] or (person in own and names != [own[person]])
            return [f"{person}: {names}"] if wrong else []

        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda seed: context.copy().run(look, seed), range(1000)))
        assert [line for lines in found for line in lines] == []

    def test_ended_sign_in_enters_nothing(self, tenants: Tenants) -> None:
        actor = actor_of(tenants, "advisor")
        with limited_transaction() as session:
            with pytest.raises(NotSignedIn):
                enter(session, Actor(**{**actor.__dict__, "epoch": 0}))
            assert session.scalar(text("select count(*) from clients")) == 0

    def test_role_of_an_old_token_opens_nothing(self, tenants: Tenants) -> None:
        actor = actor_of(tenants, "advisor")
        with limited_transaction() as session, pytest.raises(NotSignedIn):
            enter(session, Actor(**{**actor.__dict__, "role": "admin"}))


class TestRequireLimitedRole:
    def test_own_role_may_serve(self, tenants: Tenants) -> None:
        require_limited_role()

    @pytest.mark.parametrize(
        ("role", "made", "why"),
        [
            ("acis_try_super", "superuser", "superuser"),
            ("acis_try_bypass", "bypassrls", "bypasses row-level security"),
            ("acis_try_owner", "", "owns tables of ours"),
            ("acis_try_member", "in role acis_try_owner", "owns tables of ours"),
        ],
    )
    def test_role_that_no_policy_binds_is_refused(
        self, committed_database: str, monkeypatch: pytest.MonkeyPatch, role: str, made: str, why: str
    ) -> None:
        with psycopg.connect(committed_database, autocommit=True) as connection:
            try:
                connection.execute("select pg_advisory_lock(43)")
                if "in role" in made:
                    connection.execute("create role acis_try_owner nologin")
                connection.execute(f"create role {role} login {made}")
                if "owns" in why:
                    connection.execute("create table belongs_to_them (one int)")
                    connection.execute("grant create on schema public to acis_try_owner")
                    connection.execute("alter table belongs_to_them owner to acis_try_owner")
                serve_as(monkeypatch, as_role(committed_database, role))
                with pytest.raises(Refused, match=why):
                    require_limited_role()
                with pytest.raises(Refused, match=why), TestClient(create_app()):
                    pass
            finally:
                serve_as(monkeypatch, as_role(committed_database, API_ROLE))
                connection.execute("drop table if exists belongs_to_them")
                if "owns" in why:
                    connection.execute("revoke create on schema public from acis_try_owner")
                connection.execute(f"drop role if exists {role}")
                connection.execute("drop role if exists acis_try_owner")


def serve_as(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("API_DATABASE_URL", url)
    core.config.get_settings.cache_clear()
    database.session.dispose()
