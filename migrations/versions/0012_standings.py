"""What portfolios are compared with, how far accounts are off plan, and where a client's health stands in the firm."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0005"
branch_labels = None
depends_on = None

API, JOBS = "acis_api", "acis_jobs"
FLOWS = "kind in ('deposit', 'withdrawal', 'transfer', 'reversal')"


def upgrade() -> None:
    op.create_table(
        "universe_days",
        sa.Column("session_on", sa.Date(), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("mean_return", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("session_on", name=op.f("pk_universe_days")),
    )
    op.add_column("account_standings", sa.Column("off_plan_count", sa.Integer(), nullable=True))
    op.create_check_constraint(op.f("ck_account_standings_off_plan_count"), "account_standings", "off_plan_count >= 0")
    op.create_index("ix_journal_entries_account_id_entry_id", "journal_entries", ["account_id", "entry_id"])
    op.create_index(
        "ix_journal_entries_flows", "journal_entries", ["account_id", "booked_on"], postgresql_where=sa.text(FLOWS)
    )
    # Reads the firm, tells nothing but a place: null for a client that the caller may not see and for few peers.
    op.execute("""
        create function acis_health_place(client bigint, peers_min integer)
        returns table (peers bigint, below numeric)
        language sql stable security definer set search_path = public as $$
            with own as (
                select a.client_id, sum(s.health_score * s.value_usd) / sum(s.value_usd) as score
                from account_standings s join accounts a using (account_id) join clients c using (client_id)
                where a.book = 'paper' and a.status <> 'closed' and c.archived_at is null
                  and s.health_score is not null and s.value_usd > 0
                group by 1
            ), mine as (select score from own where client_id = client),
            others as (
                select count(*) as peers, avg((o.score < m.score)::integer + 0.5 * (o.score = m.score)::integer) as below
                from own o cross join mine m where o.client_id <> client
            )
            select peers, round(below * 20) / 20 from others
            where peers >= peers_min and (acis_sees() = 'all' or (acis_sees() = 'assigned' and exists (
                select from advisor_assignments
                where advisor_id = acis_user() and client_id = client and start_on <= acis_on()
                  and (end_on is null or end_on > acis_on()))))
        $$
    """)
    op.execute("revoke execute on function acis_health_place(bigint, integer) from public")
    op.execute(f"grant execute on function acis_health_place(bigint, integer) to {API}, {JOBS}")


def downgrade() -> None:
    op.execute("drop function acis_health_place(bigint, integer)")
    op.drop_index("ix_journal_entries_flows", table_name="journal_entries")
    op.drop_index("ix_journal_entries_account_id_entry_id", table_name="journal_entries")
    op.drop_constraint(op.f("ck_account_standings_off_plan_count"), "account_standings")
    op.drop_column("account_standings", "off_plan_count")
    op.drop_table("universe_days")
