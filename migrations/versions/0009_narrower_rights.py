"""What the first policies left open: rows that one may read are not rows that one may write.

Nobody assigns himself, nobody but the firm throws its switches, no row of one's own points at a foreign one, a role
that sees no clients sees none that it once had, and views, functions and sequences tell nothing that tables would not.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

API, JOBS = "acis_api", "acis_jobs"

ALL = "(select acis_sees()) = 'all'"
# An InitPlan: asked once per statement, false for whoever once was an advisor and is one no more.
ADVISES = "(select acis_sees()) = 'assigned'"
OWN = "(select acis_user())"
# Whom the actor looks after, found once per statement by the index of assignments, whatever the firm's size. Policies
# that ask one another instead go through all clients and all accounts for each statement.
MY_CLIENT = "client_id = any ((select acis_clients())::bigint[])"
MY_ACCOUNT = "account_id = any ((select acis_accounts())::bigint[])"
BEFORE = {
    MY_CLIENT: "client_id = any (array(select client_id from clients))",
    MY_ACCOUNT: "account_id = any (array(select account_id from accounts))",
}
MY_JOB = f"(client_id is null or {MY_CLIENT}) and (account_id is null or {MY_ACCOUNT})"


def visible(pointer: str, parent: str, key: str) -> str:
    """That a row points (`table.column`) at nothing, or at a row that its writer sees."""
    return f"({pointer} is null or exists (select 1 from {parent} p where p.{key} = {pointer}))"


# Table -> (which rows are seen, which may be written as they were, which as they become).
JOB_SEEN = f"{MY_JOB} and (requested_by = {OWN} or not is_private or client_id is not null or account_id is not null)"
HOUSEHOLD_SEEN = (
    f"{ALL} or household_id = any (array(select household_id from clients)) or"
    f" ({ADVISES} and created_by = {OWN} and acis_household_is_empty(household_id))"
)
POLICIES = {
    "advisor_assignments": (f"{ALL} or ({ADVISES} and advisor_id = {OWN})", ALL, ALL),
    "clients": (f"{ALL} or {MY_CLIENT}",) * 3,
    "accounts": (f"{ALL} or {MY_CLIENT}",) * 3,
    **{
        table: (f"{ALL} or {MY_ACCOUNT}",) * 3
        for table in (
            "mandates",
            "restrictions",
            "autonomous_settings",
            "positions",
            "account_valuations",
            "account_standings",
            "journal_entries",
            "holding_imports",
        )
    },
    "households": (HOUSEHOLD_SEEN,) * 3,
    "jobs": (f"{ALL} or ({JOB_SEEN})", f"{ALL} or ({JOB_SEEN})", f"{ALL} or ({MY_JOB})"),
    "kill_switches": (f"{ALL} or client_id is null or {MY_CLIENT}", *((f"{ALL} or {MY_CLIENT}",) * 2)),
    "targets": (
        f"{ALL} or {MY_ACCOUNT}",
        f"{ALL} or {MY_ACCOUNT}",
        f"{ALL} or ({MY_ACCOUNT} and {visible('targets.mandate_id', 'mandates', 'mandate_id')})",
    ),
    "recommendations": (
        f"{ALL} or {MY_ACCOUNT}",
        f"{ALL} or {MY_ACCOUNT}",
        f"{ALL} or ({MY_ACCOUNT} and {visible('recommendations.target_id', 'targets', 'target_id')})",
    ),
    "orders": (
        f"{ALL} or {MY_ACCOUNT}",
        f"{ALL} or {MY_ACCOUNT}",
        f"{ALL} or ({MY_ACCOUNT} and {visible('orders.recommendation_id', 'recommendations', 'recommendation_id')})",
    ),
    "tax_lots": (
        f"{ALL} or {MY_ACCOUNT}",
        f"{ALL} or {MY_ACCOUNT}",
        f"{ALL} or ({MY_ACCOUNT} and {visible('tax_lots.fill_id', 'fills', 'fill_id')}"
        f" and {visible('tax_lots.entry_id', 'journal_entries', 'entry_id')})",
    ),
    "lot_closings": (
        f"{ALL} or {visible('lot_closings.lot_id', 'tax_lots', 'lot_id')}",
        f"{ALL} or {visible('lot_closings.lot_id', 'tax_lots', 'lot_id')}",
        f"{ALL} or ({visible('lot_closings.lot_id', 'tax_lots', 'lot_id')}"
        f" and {visible('lot_closings.fill_id', 'fills', 'fill_id')})",
    ),
    "reports": (
        f"{ALL} or {MY_CLIENT}",
        f"{ALL} or {MY_CLIENT}",
        f"{ALL} or ({MY_CLIENT} and {visible('reports.job_id', 'jobs', 'job_id')})",
    ),
}
# A policy cannot ask about its own table, nor about one whose policy asks about it: these pointers a trigger checks.
POINTERS = (
    ("clients", "household_id", "households", "household_id"),
    ("jobs", "retry_of", "jobs", "job_id"),
    ("journal_entries", "reverses_entry_id", "journal_entries", "entry_id"),
)
# Evidence that only the jobs and the owner bring forth.
NOT_WRITTEN_BY_API = ("runs", "audit_seals", "night_reports")

FUNCTIONS = (
    "acis_user()",
    "acis_sees()",
    "acis_on()",
    "acis_clients()",
    "acis_accounts()",
    "acis_household_is_empty(bigint)",
    "acis_register_client(bigint, text, text, text, date)",
)
DEFINERS = (*FUNCTIONS[3:], "acis_health_place(bigint, integer)", "tell_accounts()")


LOOKED_AFTER = """advisor_assignments
    where advisor_id = acis_user() and start_on <= acis_on() and (end_on is null or end_on > acis_on())"""


def upgrade() -> None:
    for name, rows in (
        ("acis_clients", f"select client_id from {LOOKED_AFTER}"),
        (
            "acis_accounts",
            f"select account_id from accounts where client_id in (select client_id from {LOOKED_AFTER})",
        ),
    ):
        op.execute(f"""
            create function {name}() returns bigint[] language plpgsql stable parallel safe security definer as $$
            begin
                return case when acis_sees() = 'assigned' then array({rows}) else '{{}}' end;
            end $$
        """)
    for table, (seen, old, new) in POLICIES.items():
        op.execute(f"drop policy tenant on {table}")
        op.execute(f"create policy tenant on {table} for select to {API} using ({seen})")
        op.execute(f"create policy tenant_insert on {table} for insert to {API} with check ({new})")
        op.execute(f"create policy tenant_update on {table} for update to {API} using ({old}) with check ({new})")
        op.execute(f"create policy tenant_delete on {table} for delete to {API} using ({old})")
    op.execute("drop policy tenant_insert on jobs")
    op.execute(
        f"create policy tenant_insert on jobs for insert to {API}"
        f" with check ({ALL} or (requested_by = {OWN} and {MY_JOB}))"
    )

    op.execute("""
        create function refuse_foreign_pointer() returns trigger language plpgsql as $$
        declare
            found_it boolean;
        begin
            execute format('select exists (select 1 from %I where %I = $1)', tg_argv[1], tg_argv[2])
                into found_it using (to_jsonb(new) ->> tg_argv[0])::bigint;
            if not found_it then
                raise exception '% points at a row of % that is not there', tg_table_name, tg_argv[1]
                    using errcode = 'foreign_key_violation';
            end if;
            return new;
        end $$
    """)
    for table, column, parent, key in POINTERS:
        op.execute(f"""
            create trigger own_{column} before insert or update of {column} on {table} for each row
            when (new.{column} is not null and acis_sees() not in ('', 'all'))
            execute function refuse_foreign_pointer('{column}', '{parent}', '{key}')
        """)

    # Of a household that somebody else made, not even that it has people. A new one is not there yet when it is judged.
    op.execute("""
        create or replace function acis_household_is_empty(bigint) returns boolean
        language sql stable security definer as $$
            select not exists (select from clients where household_id = $1)
               and not exists (
                    select from households where household_id = $1 and created_by is distinct from acis_user())
        $$
    """)
    op.execute("""
        create or replace function acis_register_client(
            household bigint, client_name text, client_email text, risk text, starts_on date, out new_client_id bigint
        ) language plpgsql security definer as $$
        begin
            if acis_sees() not in ('all', 'assigned') then
                raise exception 'this role registers no clients' using errcode = 'insufficient_privilege';
            end if;
            if acis_sees() = 'assigned' and not acis_household_is_empty(household) and not exists (
                select from clients c join advisor_assignments a using (client_id)
                where c.household_id = household and a.advisor_id = acis_user()
                  and a.start_on <= acis_on() and (a.end_on is null or a.end_on > acis_on()))
            then
                raise exception 'there is no household % here', household using errcode = 'foreign_key_violation';
            end if;
            insert into clients (household_id, name, email, risk_tolerance)
            values (household, client_name, client_email, risk) returning client_id into new_client_id;
            if acis_sees() = 'assigned' then
                insert into advisor_assignments (advisor_id, client_id, start_on)
                values (acis_user(), new_client_id, starts_on);
            end if;
        end $$
    """)
    for function in DEFINERS:
        # Without pg_temp at the end a caller's temporary table would be taken for ours.
        op.execute(f"alter function {function} set search_path = pg_catalog, public, pg_temp")
    for function in FUNCTIONS:
        op.execute(f"revoke execute on function {function} from public")
        op.execute(f"grant execute on function {function} to {API}, {JOBS}")

    for table in NOT_WRITTEN_BY_API:
        op.execute(f"revoke insert, update, delete on {table} from {API}")
    # A sequence's state counts the firm's clients; identity columns need no right to read it.
    op.execute(f"revoke select on all sequences in schema public from {API}")
    op.execute(f"alter default privileges revoke select on sequences from {API}")


def downgrade() -> None:
    op.execute(f"alter default privileges grant select on sequences to {API}")
    op.execute(f"grant select on all sequences in schema public to {API}")
    for table in NOT_WRITTEN_BY_API:
        op.execute(f"grant insert, update{'' if table == 'audit_seals' else ', delete'} on {table} to {API}")
    for function in FUNCTIONS:
        op.execute(f"grant execute on function {function} to public")
    for table, column, _, _ in POINTERS:
        op.execute(f"drop trigger own_{column} on {table}")
    op.execute("drop function refuse_foreign_pointer()")
    for table, (seen, _, _) in POLICIES.items():
        for policy in ("tenant", "tenant_insert", "tenant_update", "tenant_delete"):
            op.execute(f"drop policy {policy} on {table}")
        for new, old in BEFORE.items():
            # Clients are where the chain of policies began: at the assignments themselves.
            seen = seen.replace(
                new, old if table != "clients" else f"client_id in (select client_id from {LOOKED_AFTER})"
            )
        op.execute(f"create policy tenant on {table} to {API} using ({seen}) with check ({seen})")
    for name in ("acis_accounts()", "acis_clients()"):
        op.execute(f"drop function {name}")
