"""What the service stands on: sign-in, jobs, switches, imports, reports, back-tests, sealed audit."""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('sign_in_attempts',
    sa.Column('attempt_id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('email_hash', sa.String(length=64), nullable=False),
    sa.Column('address', sa.String(length=64), nullable=True),
    sa.Column('succeeded', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('attempt_id', name=op.f('pk_sign_in_attempts'))
    )
    op.create_index('ix_sign_in_attempts_address', 'sign_in_attempts', ['address', 'at'], unique=False)
    op.create_index('ix_sign_in_attempts_email_hash', 'sign_in_attempts', ['email_hash', 'at'], unique=False)
    op.create_table('api_keys',
    sa.Column('api_key_id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('user_id', sa.BigInteger(), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('prefix', sa.String(length=16), nullable=False),
    sa.Column('key_hash', sa.String(length=64), nullable=False),
    sa.Column('permissions', postgresql.ARRAY(sa.String(length=48)), nullable=True),
    sa.Column('created_by', sa.BigInteger(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_used_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['created_by'], ['users.user_id'], name=op.f('fk_api_keys_created_by')),
    sa.ForeignKeyConstraint(['user_id'], ['users.user_id'], name=op.f('fk_api_keys_user_id')),
    sa.PrimaryKeyConstraint('api_key_id', name=op.f('pk_api_keys')),
    sa.UniqueConstraint('key_hash', name=op.f('uq_api_keys_key_hash'))
    )
    op.create_index('ix_api_keys_user_id', 'api_keys', ['user_id'], unique=False)
    op.create_table('audit_seals',
    sa.Column('seal_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('audit_id', sa.BigInteger(), nullable=False),
    sa.Column('previous_hash', sa.String(length=64), nullable=False),
    sa.Column('hash', sa.String(length=64), nullable=False),
    sa.Column('sealed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['audit_id'], ['audit.audit_id'], name=op.f('fk_audit_seals_audit_id')),
    sa.PrimaryKeyConstraint('seal_id', name=op.f('pk_audit_seals')),
    sa.UniqueConstraint('audit_id', name=op.f('uq_audit_seals_audit_id'))
    )
    op.create_table('idempotency_keys',
    sa.Column('user_id', sa.BigInteger(), nullable=False),
    sa.Column('key', sa.String(length=200), nullable=False),
    sa.Column('fingerprint', sa.String(length=64), nullable=False),
    sa.Column('status', sa.SmallInteger(), nullable=True),
    sa.Column('headers', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('body', sa.LargeBinary(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.user_id'], name=op.f('fk_idempotency_keys_user_id')),
    sa.PrimaryKeyConstraint('user_id', 'key', name=op.f('pk_idempotency_keys'))
    )
    op.create_table('recovery_codes',
    sa.Column('user_id', sa.BigInteger(), nullable=False),
    sa.Column('code_hash', sa.String(length=64), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['user_id'], ['users.user_id'], name=op.f('fk_recovery_codes_user_id')),
    sa.PrimaryKeyConstraint('user_id', 'code_hash', name=op.f('pk_recovery_codes'))
    )
    op.create_table('sign_ins',
    sa.Column('sign_in_id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.BigInteger(), nullable=False),
    sa.Column('user_agent', sa.String(length=200), nullable=True),
    sa.Column('address', sa.String(length=64), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_used_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('revoked_reason', sa.String(length=64), nullable=True),
    sa.ForeignKeyConstraint(['user_id'], ['users.user_id'], name=op.f('fk_sign_ins_user_id')),
    sa.PrimaryKeyConstraint('sign_in_id', name=op.f('pk_sign_ins'))
    )
    op.create_index('ix_sign_ins_user_id', 'sign_ins', ['user_id'], unique=False)
    op.create_table('refresh_tokens',
    sa.Column('token_hash', sa.String(length=64), nullable=False),
    sa.Column('sign_in_id', sa.Uuid(), nullable=False),
    sa.Column('issued_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['sign_in_id'], ['sign_ins.sign_in_id'], name=op.f('fk_refresh_tokens_sign_in_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('token_hash', name=op.f('pk_refresh_tokens'))
    )
    op.create_index('ix_refresh_tokens_sign_in_id', 'refresh_tokens', ['sign_in_id'], unique=False)
    op.create_table('kill_switches',
    sa.Column('kill_switch_id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('scope', sa.String(length=16), nullable=False),
    sa.Column('client_id', sa.BigInteger(), nullable=True),
    sa.Column('strategy', sa.String(length=32), nullable=True),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('engaged_by', sa.String(length=254), nullable=False),
    sa.Column('engaged_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('released_by', sa.String(length=254), nullable=True),
    sa.Column('released_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('release_reason', sa.Text(), nullable=True),
    sa.CheckConstraint("(scope = 'client') = (client_id is not null) and (scope = 'strategy') = (strategy is not null)", name=op.f('ck_kill_switches_target')),
    sa.CheckConstraint("scope in ('client', 'strategy', 'everything')", name=op.f('ck_kill_switches_scope')),
    sa.CheckConstraint('(released_at is null) = (released_by is null)', name=op.f('ck_kill_switches_released')),
    sa.CheckConstraint('length(reason) > 0', name=op.f('ck_kill_switches_reason')),
    sa.ForeignKeyConstraint(['client_id'], ['clients.client_id'], name=op.f('fk_kill_switches_client_id')),
    sa.PrimaryKeyConstraint('kill_switch_id', name=op.f('pk_kill_switches'))
    )
    op.create_index(op.f('ix_kill_switches_client_id'), 'kill_switches', ['client_id'], unique=False)
    op.create_index('uq_kill_switches_engaged', 'kill_switches', ['scope', 'client_id', 'strategy'], unique=True, postgresql_where='released_at is null', postgresql_nulls_not_distinct=True)
    op.create_table('account_standings',
    sa.Column('account_id', sa.BigInteger(), nullable=False),
    sa.Column('session_on', sa.Date(), nullable=False),
    sa.Column('value_usd', sa.Numeric(precision=20, scale=2), nullable=False),
    sa.Column('cash_usd', sa.Numeric(precision=20, scale=2), nullable=False),
    sa.Column('day_change_usd', sa.Numeric(precision=20, scale=2), nullable=True),
    sa.Column('year_return', sa.Numeric(precision=12, scale=8), nullable=True),
    sa.Column('drift', sa.Numeric(precision=12, scale=8), nullable=True),
    sa.Column('health_score', sa.Numeric(precision=5, scale=1), nullable=True),
    sa.Column('changed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.account_id'], name=op.f('fk_account_standings_account_id')),
    sa.PrimaryKeyConstraint('account_id', name=op.f('pk_account_standings'))
    )
    op.create_table('holding_imports',
    sa.Column('holding_import_id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('account_id', sa.BigInteger(), nullable=False),
    sa.Column('file_name', sa.String(length=255), nullable=False),
    sa.Column('content_sha256', sa.String(length=64), nullable=False),
    sa.Column('status', sa.String(length=16), nullable=False),
    sa.Column('rows', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('changes', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('created_by', sa.String(length=254), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('applied_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('undone_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("status in ('previewed', 'applied', 'undone', 'superseded')", name=op.f('ck_holding_imports_status')),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.account_id'], name=op.f('fk_holding_imports_account_id')),
    sa.PrimaryKeyConstraint('holding_import_id', name=op.f('pk_holding_imports'))
    )
    op.create_index('ix_holding_imports_account_id', 'holding_imports', ['account_id'], unique=False)
    op.create_table('jobs',
    sa.Column('job_id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('name', sa.String(length=32), nullable=False),
    sa.Column('payload', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('status', sa.String(length=16), server_default='queued', nullable=False),
    sa.Column('due_on', sa.Date(), nullable=True),
    sa.Column('requested_by', sa.BigInteger(), nullable=True),
    sa.Column('actor', sa.String(length=254), nullable=False),
    sa.Column('client_id', sa.BigInteger(), nullable=True),
    sa.Column('account_id', sa.BigInteger(), nullable=True),
    sa.Column('is_private', sa.Boolean(), server_default='false', nullable=False),
    sa.Column('attempt', sa.Integer(), server_default='0', nullable=False),
    sa.Column('attempts_max', sa.Integer(), server_default='3', nullable=False),
    sa.Column('worker', sa.String(length=100), nullable=True),
    sa.Column('percent', sa.Numeric(precision=5, scale=2), nullable=True),
    sa.Column('step', sa.String(length=200), nullable=True),
    sa.Column('result', sa.JSON(), nullable=True),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('retry_of', sa.BigInteger(), nullable=True),
    sa.Column('event_count', sa.Integer(), server_default='0', nullable=False),
    sa.Column('request_id', sa.String(length=64), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('sent_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('heartbeat_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('cancel_asked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("(status in ('queued', 'running')) = (finished_at is null)", name=op.f('ck_jobs_finished')),
    sa.CheckConstraint("status in ('queued', 'running', 'succeeded', 'refused', 'failed', 'cancelled')", name=op.f('ck_jobs_status')),
    sa.CheckConstraint('percent between 0 and 100', name=op.f('ck_jobs_percent')),
    sa.ForeignKeyConstraint(['account_id'], ['accounts.account_id'], name=op.f('fk_jobs_account_id')),
    sa.ForeignKeyConstraint(['client_id'], ['clients.client_id'], name=op.f('fk_jobs_client_id')),
    sa.ForeignKeyConstraint(['requested_by'], ['users.user_id'], name=op.f('fk_jobs_requested_by')),
    sa.ForeignKeyConstraint(['retry_of'], ['jobs.job_id'], name=op.f('fk_jobs_retry_of')),
    sa.PrimaryKeyConstraint('job_id', name=op.f('pk_jobs')),
    sa.UniqueConstraint('name', 'due_on', name=op.f('uq_jobs_name_due_on'))
    )
    op.create_index('ix_jobs_account_id', 'jobs', ['account_id'], unique=False)
    op.create_index('ix_jobs_client_id', 'jobs', ['client_id'], unique=False)
    op.create_index('ix_jobs_open', 'jobs', ['created_at'], unique=False, postgresql_where="status in ('queued', 'running')")
    op.create_index('ix_jobs_requested_by', 'jobs', ['requested_by'], unique=False)
    op.create_index(op.f('ix_jobs_retry_of'), 'jobs', ['retry_of'], unique=False)
    op.create_table('backtests',
    sa.Column('backtest_id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('job_id', sa.BigInteger(), nullable=False),
    sa.Column('title', sa.String(length=200), nullable=False),
    sa.Column('parameters', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('measures', sa.JSON(), nullable=True),
    sa.Column('series', sa.JSON(), nullable=True),
    sa.Column('trades', sa.JSON(), nullable=True),
    sa.Column('created_by', sa.String(length=254), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('archived_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.job_id'], name=op.f('fk_backtests_job_id')),
    sa.PrimaryKeyConstraint('backtest_id', name=op.f('pk_backtests')),
    sa.UniqueConstraint('job_id', name=op.f('uq_backtests_job_id'))
    )
    op.create_index('ix_backtests_created_at', 'backtests', ['created_at'], unique=False)
    op.create_table('job_events',
    sa.Column('job_id', sa.BigInteger(), nullable=False),
    sa.Column('seq', sa.Integer(), nullable=False),
    sa.Column('event_id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('body', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.CheckConstraint("kind in ('status', 'progress', 'log')", name=op.f('ck_job_events_kind')),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.job_id'], name=op.f('fk_job_events_job_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('job_id', 'seq', name=op.f('pk_job_events'))
    )
    op.create_index('ix_job_events_event_id', 'job_events', ['event_id'], unique=False)
    op.create_table('reports',
    sa.Column('report_id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('client_id', sa.BigInteger(), nullable=False),
    sa.Column('job_id', sa.BigInteger(), nullable=False),
    sa.Column('from_on', sa.Date(), nullable=False),
    sa.Column('to_on', sa.Date(), nullable=False),
    sa.Column('content', sa.JSON(), nullable=True),
    sa.Column('page', sa.Text(), nullable=True),
    sa.Column('created_by', sa.String(length=254), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['client_id'], ['clients.client_id'], name=op.f('fk_reports_client_id')),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.job_id'], name=op.f('fk_reports_job_id')),
    sa.PrimaryKeyConstraint('report_id', name=op.f('pk_reports')),
    sa.UniqueConstraint('job_id', name=op.f('uq_reports_job_id'))
    )
    op.create_index('ix_reports_client_id', 'reports', ['client_id'], unique=False)
    op.add_column('accounts', sa.Column('closed_on', sa.Date(), nullable=True))
    op.add_column('accounts', sa.Column('taxation', sa.String(length=16), server_default='taxable', nullable=False))
    op.drop_index(op.f('ix_accounts_client_id'), table_name='accounts')
    op.drop_constraint(op.f('uq_accounts_book_name'), 'accounts', type_='unique')
    op.create_index('ix_accounts_book', 'accounts', ['book'], unique=False)
    op.create_unique_constraint(op.f('uq_accounts_client_id_book_name'), 'accounts', ['client_id', 'book', 'name'])
    op.add_column('audit', sa.Column('request_id', sa.String(length=64), nullable=True))
    op.add_column('audit', sa.Column('address', sa.String(length=64), nullable=True))
    op.create_index('ix_audit_actor_at', 'audit', ['actor', 'at'], unique=False)
    op.create_index('ix_audit_at', 'audit', ['at'], unique=False)
    op.add_column('autonomous_settings', sa.Column('orders_max', sa.Integer(), nullable=True))
    op.add_column('autonomous_settings', sa.Column('traded_usd_max', sa.Numeric(precision=20, scale=2), nullable=True))
    op.add_column('clients', sa.Column('phone', sa.String(length=40), nullable=True))
    op.add_column('clients', sa.Column('note', sa.Text(), nullable=True))
    op.add_column('clients', sa.Column('reviewed_on', sa.Date(), nullable=True))
    op.add_column('clients', sa.Column('archived_at', sa.DateTime(timezone=True), nullable=True))
    op.drop_index(op.f('ix_clients_household_id'), table_name='clients')
    op.drop_constraint(op.f('uq_clients_name'), 'clients', type_='unique')
    op.create_index('ix_clients_name', 'clients', ['name'], unique=False)
    op.create_unique_constraint(op.f('uq_clients_household_id_name'), 'clients', ['household_id', 'name'])
    op.add_column('households', sa.Column('note', sa.Text(), nullable=True))
    op.add_column('households', sa.Column('created_by', sa.BigInteger(), nullable=True))
    op.add_column('households', sa.Column('archived_at', sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint(op.f('uq_households_name'), 'households', type_='unique')
    op.create_index(op.f('ix_households_created_by'), 'households', ['created_by'], unique=False)
    op.create_index('ix_households_name', 'households', ['name'], unique=False)
    op.create_foreign_key(op.f('fk_households_created_by'), 'households', 'users', ['created_by'], ['user_id'])
    op.add_column('orders', sa.Column('cancel_asked_by', sa.String(length=254), nullable=True))
    op.add_column('orders', sa.Column('cancel_asked_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('recommendations', sa.Column('proposed_quantity', sa.Numeric(precision=20, scale=6), nullable=True))
    op.add_column('recommendations', sa.Column('decision_note', sa.Text(), nullable=True))
    op.add_column('tax_lots', sa.Column('entry_id', sa.BigInteger(), nullable=True))
    op.alter_column('tax_lots', 'fill_id',
               existing_type=sa.BIGINT(),
               nullable=True)
    op.create_index(op.f('ix_tax_lots_entry_id'), 'tax_lots', ['entry_id'], unique=False)
    op.create_foreign_key(op.f('fk_tax_lots_entry_id'), 'tax_lots', 'journal_entries', ['entry_id'], ['entry_id'])
    op.add_column('users', sa.Column('password_hash', sa.Text(), nullable=True))
    op.add_column('users', sa.Column('password_changed_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('users', sa.Column('must_change_password', sa.Boolean(), server_default='false', nullable=False))
    op.add_column('users', sa.Column('totp_secret', sa.LargeBinary(), nullable=True))
    op.add_column('users', sa.Column('totp_confirmed_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('users', sa.Column('totp_last_step', sa.BigInteger(), nullable=True))
    op.add_column('users', sa.Column('epoch', sa.Integer(), server_default='1', nullable=False))
    op.add_column('users', sa.Column('last_signed_in_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('users', sa.Column('disabled_at', sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint(op.f("ck_journal_entries_kind"), "journal_entries")
    op.create_check_constraint(
        op.f("ck_journal_entries_kind"),
        "journal_entries",
        "kind in ('deposit', 'withdrawal', 'fill', 'dividend', 'split', 'transfer', 'reversal')",
    )
    op.execute("update accounts set closed_on = current_date where status = 'closed'")
    op.create_check_constraint(
        op.f("ck_accounts_closed_on"), "accounts", "(status = 'closed') = (closed_on is not null)"
    )
    op.create_check_constraint(
        op.f("ck_accounts_taxation"), "accounts", "taxation in ('taxable', 'tax_deferred', 'tax_free')"
    )
    op.create_check_constraint(op.f("ck_tax_lots_origin"), "tax_lots", "(fill_id is null) <> (entry_id is null)")
    for table in ("audit_seals",):
        op.execute(
            f"create trigger append_only before update or delete on {table}"
            " for each row execute function refuse_change()"
        )
        op.execute(
            f"create trigger append_only_truncate before truncate on {table}"
            " for each statement execute function refuse_change()"
        )


def downgrade() -> None:
    for name, table in (
        ("ck_tax_lots_origin", "tax_lots"), ("ck_accounts_taxation", "accounts"), ("ck_accounts_closed_on", "accounts")
    ):
        op.drop_constraint(op.f(name), table)
    op.drop_constraint(op.f("ck_journal_entries_kind"), "journal_entries")
    op.create_check_constraint(
        op.f("ck_journal_entries_kind"),
        "journal_entries",
        "kind in ('deposit', 'withdrawal', 'fill', 'dividend', 'split', 'reversal')",
    )

    op.drop_column('users', 'disabled_at')
    op.drop_column('users', 'last_signed_in_at')
    op.drop_column('users', 'epoch')
    op.drop_column('users', 'totp_last_step')
    op.drop_column('users', 'totp_confirmed_at')
    op.drop_column('users', 'totp_secret')
    op.drop_column('users', 'must_change_password')
    op.drop_column('users', 'password_changed_at')
    op.drop_column('users', 'password_hash')
    op.drop_constraint(op.f('fk_tax_lots_entry_id'), 'tax_lots', type_='foreignkey')
    op.drop_index(op.f('ix_tax_lots_entry_id'), table_name='tax_lots')
    op.alter_column('tax_lots', 'fill_id',
               existing_type=sa.BIGINT(),
               nullable=False)
    op.drop_column('tax_lots', 'entry_id')
    op.drop_column('recommendations', 'decision_note')
    op.drop_column('recommendations', 'proposed_quantity')
    op.drop_column('orders', 'cancel_asked_at')
    op.drop_column('orders', 'cancel_asked_by')
    op.drop_constraint(op.f('fk_households_created_by'), 'households', type_='foreignkey')
    op.drop_index('ix_households_name', table_name='households')
    op.drop_index(op.f('ix_households_created_by'), table_name='households')
    op.create_unique_constraint(op.f('uq_households_name'), 'households', ['name'], postgresql_nulls_not_distinct=False)
    op.drop_column('households', 'archived_at')
    op.drop_column('households', 'created_by')
    op.drop_column('households', 'note')
    op.drop_constraint(op.f('uq_clients_household_id_name'), 'clients', type_='unique')
    op.drop_index('ix_clients_name', table_name='clients')
    op.create_unique_constraint(op.f('uq_clients_name'), 'clients', ['name'], postgresql_nulls_not_distinct=False)
    op.create_index(op.f('ix_clients_household_id'), 'clients', ['household_id'], unique=False)
    op.drop_column('clients', 'archived_at')
    op.drop_column('clients', 'reviewed_on')
    op.drop_column('clients', 'note')
    op.drop_column('clients', 'phone')
    op.drop_column('autonomous_settings', 'traded_usd_max')
    op.drop_column('autonomous_settings', 'orders_max')
    op.drop_index('ix_audit_at', table_name='audit')
    op.drop_index('ix_audit_actor_at', table_name='audit')
    op.drop_column('audit', 'address')
    op.drop_column('audit', 'request_id')
    op.drop_constraint(op.f('uq_accounts_client_id_book_name'), 'accounts', type_='unique')
    op.drop_index('ix_accounts_book', table_name='accounts')
    op.create_unique_constraint(op.f('uq_accounts_book_name'), 'accounts', ['book', 'name'], postgresql_nulls_not_distinct=False)
    op.create_index(op.f('ix_accounts_client_id'), 'accounts', ['client_id'], unique=False)
    op.drop_column('accounts', 'taxation')
    op.drop_column('accounts', 'closed_on')
    op.drop_index('ix_reports_client_id', table_name='reports')
    op.drop_table('reports')
    op.drop_index('ix_job_events_event_id', table_name='job_events')
    op.drop_table('job_events')
    op.drop_index('ix_backtests_created_at', table_name='backtests')
    op.drop_table('backtests')
    op.drop_index(op.f('ix_jobs_retry_of'), table_name='jobs')
    op.drop_index('ix_jobs_requested_by', table_name='jobs')
    op.drop_index('ix_jobs_open', table_name='jobs', postgresql_where="status in ('queued', 'running')")
    op.drop_index('ix_jobs_client_id', table_name='jobs')
    op.drop_index('ix_jobs_account_id', table_name='jobs')
    op.drop_table('jobs')
    op.drop_index('ix_holding_imports_account_id', table_name='holding_imports')
    op.drop_table('holding_imports')
    op.drop_table('account_standings')
    op.drop_index('uq_kill_switches_engaged', table_name='kill_switches', postgresql_where='released_at is null', postgresql_nulls_not_distinct=True)
    op.drop_index(op.f('ix_kill_switches_client_id'), table_name='kill_switches')
    op.drop_table('kill_switches')
    op.drop_index('ix_refresh_tokens_sign_in_id', table_name='refresh_tokens')
    op.drop_table('refresh_tokens')
    op.drop_index('ix_sign_ins_user_id', table_name='sign_ins')
    op.drop_table('sign_ins')
    op.drop_table('recovery_codes')
    op.drop_table('idempotency_keys')
    op.drop_table('audit_seals')
    op.drop_index('ix_api_keys_user_id', table_name='api_keys')
    op.drop_table('api_keys')
    op.drop_index('ix_sign_in_attempts_email_hash', table_name='sign_in_attempts')
    op.drop_index('ix_sign_in_attempts_address', table_name='sign_in_attempts')
    op.drop_table('sign_in_attempts')