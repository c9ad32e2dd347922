"""Who sees which rows: the roles of the API and of the jobs, and forced row-level security on client data.

The API's role owns nothing and cannot bypass a policy; what it sees is set per transaction (`acis.user_id`,
`acis.sees`, `acis.on`) and is nothing where that was forgotten. The owner and the jobs see the firm.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

API, JOBS = "acis_api", "acis_jobs"

ASSIGNED = """(select client_id from advisor_assignments
    where advisor_id = (select acis_user()) and start_on <= (select acis_on())
      and (end_on is null or end_on > (select acis_on())))"""
ALL = "(select acis_sees()) = 'all'"
OWN = "(select acis_user())"
# A sub-select over a guarded table sees only what its own policy lets through, so the chain ends at the assignments.
BY_ACCOUNT = f"{ALL} or account_id = any (array(select account_id from accounts))"
BY_CLIENT = f"{ALL} or client_id = any (array(select client_id from clients))"

# Table -> whose rows the API may see and write.
POLICIES = {
    "advisor_assignments": f"{ALL} or advisor_id = {OWN}",
    "clients": f"{ALL} or client_id = any (array{ASSIGNED})",
    "households": f"{ALL} or household_id = any (array(select household_id from clients))"
    f" or (created_by = {OWN} and acis_household_is_empty(household_id))",
    "accounts": BY_CLIENT,
    "reports": BY_CLIENT,
    **{
        table: BY_ACCOUNT
        for table in (
            "mandates",
            "restrictions",
            "autonomous_settings",
            "targets",
            "recommendations",
            "orders",
            "positions",
            "tax_lots",
            "account_valuations",
            "account_standings",
            "journal_entries",
            "holding_imports",
        )
    },
    "target_weights": f"{ALL} or exists (select 1 from targets t where t.target_id = target_weights.target_id)",
    "pretrade_checks": f"{ALL} or exists (select 1 from recommendations r"
    " where r.recommendation_id = pretrade_checks.recommendation_id)",
    "order_events": f"{ALL} or exists (select 1 from orders o where o.order_id = order_events.order_id)",
    "fills": f"{ALL} or exists (select 1 from orders o where o.order_id = fills.order_id)",
    "lot_closings": f"{ALL} or exists (select 1 from tax_lots l where l.lot_id = lot_closings.lot_id)",
    "journal_lines": f"{ALL} or exists (select 1 from journal_entries e where e.entry_id = journal_lines.entry_id)",
    "jobs": f"{ALL} or requested_by = {OWN} or not is_private"
    f" or (account_id is not null and account_id = any (array(select account_id from accounts)))"
    f" or (client_id is not null and client_id = any (array(select client_id from clients)))",
    "job_events": f"{ALL} or exists (select 1 from jobs j where j.job_id = job_events.job_id)",
    "kill_switches": f"{ALL} or client_id is null or client_id = any (array(select client_id from clients))",
    "idempotency_keys": f"user_id = {OWN}",
    # A night's answer names clients: `night_reports` is what the others may read of it.
    "runs": ALL,
    "audit": ALL,
    "audit_seals": ALL,
}
# Anybody leaves traces; only some read them.
WRITTEN_BY_ALL = ("audit",)
APPEND_ONLY = ("journal_entries", "journal_lines", "order_events", "fills", "audit", "audit_seals")


def upgrade() -> None:
    for role, login in ((API, "login"), (JOBS, "nologin")):
        op.execute(f"""
            do $$ begin
                if not exists (select from pg_roles where rolname = '{role}') then
                    create role {role} {login} nosuperuser nocreatedb nocreaterole noreplication nobypassrls;
                end if;
            exception
                when duplicate_object or unique_violation then null;
                when insufficient_privilege then
                    raise exception 'this migration needs the role {role}, and its own may not create roles'
                        using hint = 'as a superuser: create role {role} {login} nobypassrls';
            end $$
        """)
        op.execute(f"grant usage on schema public to {role}")
        op.execute(f"grant select, insert, update, delete on all tables in schema public to {role}")
        op.execute(f"grant usage, select on all sequences in schema public to {role}")
        op.execute(f"alter default privileges grant select, insert, update, delete on tables to {role}")
        op.execute(f"alter default privileges grant usage, select on sequences to {role}")
        op.execute(f"revoke insert, update, delete on alembic_version from {role}")
        for table in APPEND_ONLY:
            op.execute(f"revoke update, delete on {table} from {role}")

    op.execute("""
        create function acis_user() returns bigint language sql stable parallel safe as
        $$ select nullif(current_setting('acis.user_id', true), '')::bigint $$
    """)
    op.execute("""
        create function acis_sees() returns text language sql stable parallel safe as
        $$ select coalesce(current_setting('acis.sees', true), '') $$
    """)
    op.execute("""
        create function acis_on() returns date language sql stable parallel safe as
        $$ select coalesce(nullif(current_setting('acis.on', true), '')::date, current_date) $$
    """)
    op.execute("""
        create function acis_household_is_empty(bigint) returns boolean
        language sql stable security definer set search_path = public as
        $$ select not exists (select from clients where household_id = $1) $$
    """)
    # An advisor cannot see a client before the assignment is there, nor assign what is not there: both at once.
    op.execute("""
        create function acis_register_client(
            household bigint, client_name text, client_email text, risk text, starts_on date, out new_client_id bigint
        ) language plpgsql security definer set search_path = public as $$
        begin
            if acis_sees() not in ('all', 'assigned') then
                raise exception 'this role registers no clients' using errcode = 'insufficient_privilege';
            end if;
            insert into clients (household_id, name, email, risk_tolerance)
            values (household, client_name, client_email, risk) returning client_id into new_client_id;
            if acis_sees() = 'assigned' then
                insert into advisor_assignments (advisor_id, client_id, start_on)
                values (acis_user(), new_client_id, starts_on);
            end if;
        end $$
    """)
    op.execute("""
        create view night_reports as
        select run_id, job, as_of, book, status, attempt, steps, (result::jsonb - 'clients')::json as result,
               code_commit, started_at, finished_at
        from runs
    """)
    op.execute(f"grant select on night_reports to {API}, {JOBS}")

    for table, rule in POLICIES.items():
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"alter table {table} force row level security")
        op.execute(f"create policy firm on {table} to current_user, {JOBS} using (true) with check (true)")
        check = "true" if table in WRITTEN_BY_ALL else rule
        op.execute(f"create policy tenant on {table} to {API} using ({rule}) with check ({check})")


def downgrade() -> None:
    for table in POLICIES:
        op.execute(f"drop policy tenant on {table}")
        op.execute(f"drop policy firm on {table}")
        op.execute(f"alter table {table} no force row level security")
        op.execute(f"alter table {table} disable row level security")
    op.execute("drop view night_reports")
    op.execute("drop function acis_register_client(bigint, text, text, text, date)")
    for name in ("acis_household_is_empty(bigint)", "acis_on()", "acis_sees()", "acis_user()"):
        op.execute(f"drop function {name}")
    for role in (API, JOBS):
        # The roles belong to the whole server: other databases may use them.
        op.execute(f"alter default privileges revoke all on tables from {role}")
        op.execute(f"alter default privileges revoke all on sequences from {role}")
        op.execute(f"revoke all on all tables in schema public from {role}")
        op.execute(f"revoke all on all sequences in schema public from {role}")
        op.execute(f"revoke usage on schema public from {role}")
