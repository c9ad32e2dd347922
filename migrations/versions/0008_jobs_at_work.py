"""Jobs at work: a pause before another try, since when a timetable's entry is known, who is alive, who hears of trades."""

from alembic import op
import sqlalchemy as sa

revision = "0008"
down_revision = "0012"
branch_labels = None
depends_on = None

# A change of these is told, once a statement and account, to whoever follows along. Replays talk to nobody.
TOLD = ("recommendations", "orders")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("not_before_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_jobs_name_created_at", "jobs", ["name", "created_at"])
    op.create_table(
        "timetable_entries",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("known_since_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_timetable_entries")),
    )
    op.create_table(
        "heartbeats",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("worker", sa.String(length=100), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeats")),
    )
    op.execute("""
        create function tell_accounts() returns trigger
        language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
        begin
            perform pg_notify('acis_events', tg_table_name || ':' || account_id)
            from (select distinct account_id from changed) c join accounts using (account_id)
            where accounts.book not like 'replay %';
            return null;
        end $$
    """)
    for table in TOLD:
        for word in ("insert", "update"):
            op.execute(
                f"create trigger tell_{word} after {word} on {table}"
                " referencing new table as changed for each statement execute function tell_accounts()"
            )


def downgrade() -> None:
    for table in TOLD:
        for word in ("insert", "update"):
            op.execute(f"drop trigger tell_{word} on {table}")
    op.execute("drop function tell_accounts()")
    op.drop_table("heartbeats")
    op.drop_table("timetable_entries")
    op.drop_index("ix_jobs_name_created_at", table_name="jobs")
    op.drop_column("jobs", "not_before_at")
