"""A mark for each account that moves with whatever an answer about it depends on.

Every request about a portfolio asks for it. Read as the caller, each of its tables would bring its own chain of policies;
the function is asked only about accounts that the caller may see, and tells nothing but a hash.
"""

from alembic import op

revision = "0013"
down_revision = "0007"
branch_labels = None
depends_on = None

API, JOBS = "acis_api", "acis_jobs"


def upgrade() -> None:
    op.execute("""
        create function acis_account_mark(account bigint) returns text
        language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
            select md5(concat_ws(' ',
                (select max(entry_id) from journal_entries where account_id = account),
                (select max(session_on) from account_valuations where account_id = account),
                (select max(version) from mandates where account_id = account),
                (select max(session_on) from targets where account_id = account),
                (select xmin from account_standings where account_id = account),
                (select md5(string_agg(kind || value, ',' order by kind, value))
                 from restrictions where account_id = account),
                (select case when exists (select from restrictions where account_id = account and kind = 'esg')
                 then md5(string_agg(instrument_id || flag, ',' order by instrument_id, flag)) end from esg_flags)))
        $$
    """)
    op.execute("revoke execute on function acis_account_mark(bigint) from public")
    op.execute(f"grant execute on function acis_account_mark(bigint) to {API}, {JOBS}")


def downgrade() -> None:
    op.execute("drop function acis_account_mark(bigint)")
