"""Trials, verdicts, roles, shadow lanes, drift, leak audits, alerts."""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# What was tried, said and decided about models stays as it was.
APPEND_ONLY = ("trials", "gate_verdicts", "model_roles", "leak_audits")


def upgrade() -> None:
    op.create_table('alerts',
    sa.Column('alert_id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('severity', sa.String(length=16), nullable=False),
    sa.Column('subject', sa.String(length=64), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('details', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('times', sa.Integer(), server_default='1', nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('settled_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("severity in ('notice', 'warning', 'critical')", name=op.f('ck_alerts_severity')),
    sa.PrimaryKeyConstraint('alert_id', name=op.f('pk_alerts'))
    )
    op.create_index('uq_alerts_open', 'alerts', ['subject', 'text'], unique=True, postgresql_where=sa.text('settled_at is null'))
    op.create_table('leak_audits',
    sa.Column('leak_audit_id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('as_of', sa.Date(), nullable=False),
    sa.Column('code_hash', sa.String(length=64), nullable=False),
    sa.Column('is_clean', sa.Boolean(), nullable=False),
    sa.Column('probes', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('code_commit', sa.String(length=40), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('leak_audit_id', name=op.f('pk_leak_audits'))
    )
    op.create_index(op.f('ix_leak_audits_code_hash'), 'leak_audits', ['code_hash'], unique=False)
    op.create_table('trials',
    sa.Column('trial_id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('strategy', sa.String(length=32), nullable=False),
    sa.Column('source', sa.String(length=16), nullable=False),
    sa.Column('configuration_hash', sa.String(length=64), nullable=False),
    sa.Column('configuration', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("kind in ('screener', 'allocator')", name=op.f('ck_trials_kind')),
    sa.CheckConstraint("source in ('training', 'tuning', 'tracking')", name=op.f('ck_trials_source')),
    sa.PrimaryKeyConstraint('trial_id', name=op.f('pk_trials')),
    sa.UniqueConstraint('kind', 'strategy', 'configuration_hash', name=op.f('uq_trials_kind_strategy_configuration_hash'))
    )
    op.create_table('trial_returns',
    sa.Column('trial_id', sa.BigInteger(), nullable=False),
    sa.Column('year', sa.Integer(), nullable=False),
    sa.Column('series', sa.String(length=48), nullable=False),
    sa.Column('sessions', postgresql.ARRAY(sa.Date()), nullable=False),
    sa.Column('returns', postgresql.ARRAY(sa.DOUBLE_PRECISION()), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('cardinality(sessions) = cardinality(returns)', name=op.f('ck_trial_returns_parallel')),
    sa.CheckConstraint('cardinality(sessions) > 0', name=op.f('ck_trial_returns_not_empty')),
    sa.ForeignKeyConstraint(['trial_id'], ['trials.trial_id'], name=op.f('fk_trial_returns_trial_id')),
    sa.PrimaryKeyConstraint('trial_id', 'year', 'series', name=op.f('pk_trial_returns'))
    )
    op.create_table('drift_readings',
    sa.Column('drift_reading_id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('session_on', sa.Date(), nullable=False),
    sa.Column('subject_kind', sa.String(length=16), nullable=False),
    sa.Column('subject', sa.String(length=64), nullable=False),
    sa.Column('model_version_id', sa.BigInteger(), nullable=True),
    sa.Column('measure', sa.String(length=32), nullable=False),
    sa.Column('value', sa.DOUBLE_PRECISION(), nullable=True),
    sa.Column('threshold', sa.DOUBLE_PRECISION(), nullable=True),
    sa.Column('p_value', sa.DOUBLE_PRECISION(), nullable=True),
    sa.Column('is_alarm', sa.Boolean(), nullable=False),
    sa.Column('summary', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("subject_kind in ('feature', 'screener', 'allocator')", name=op.f('ck_drift_readings_subject_kind')),
    sa.ForeignKeyConstraint(['model_version_id'], ['model_versions.model_version_id'], name=op.f('fk_drift_readings_model_version_id')),
    sa.PrimaryKeyConstraint('drift_reading_id', name=op.f('pk_drift_readings'))
    )
    op.create_index(op.f('ix_drift_readings_model_version_id'), 'drift_readings', ['model_version_id'], unique=False)
    op.create_index('ix_drift_readings_subject_session_on', 'drift_readings', ['subject', 'session_on'], unique=False)
    op.create_index('uq_drift_readings_reading', 'drift_readings', ['session_on', 'subject', 'measure', 'model_version_id'], unique=True, postgresql_nulls_not_distinct=True)
    op.create_table('gate_verdicts',
    sa.Column('verdict_id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('model_version_id', sa.BigInteger(), nullable=False),
    sa.Column('as_of', sa.Date(), nullable=False),
    sa.Column('verdict', sa.String(length=16), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('checks', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('evidence', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('evidence_hash', sa.String(length=64), nullable=False),
    sa.Column('trials', sa.Integer(), nullable=False),
    sa.Column('code_commit', sa.String(length=40), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("verdict in ('pass', 'fail', 'not_proven')", name=op.f('ck_gate_verdicts_verdict')),
    sa.ForeignKeyConstraint(['model_version_id'], ['model_versions.model_version_id'], name=op.f('fk_gate_verdicts_model_version_id')),
    sa.PrimaryKeyConstraint('verdict_id', name=op.f('pk_gate_verdicts')),
    sa.UniqueConstraint('model_version_id', 'as_of', 'evidence_hash', name=op.f('uq_gate_verdicts_model_version_id_as_of_evidence_hash'))
    )
    op.create_index(op.f('ix_gate_verdicts_model_version_id'), 'gate_verdicts', ['model_version_id'], unique=False)
    op.create_table('model_roles',
    sa.Column('model_role_id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('name', sa.String(length=64), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('strategy', sa.String(length=32), nullable=False),
    sa.Column('role', sa.String(length=16), nullable=False),
    sa.Column('action', sa.String(length=24), nullable=False),
    sa.Column('model_version_id', sa.BigInteger(), nullable=True),
    sa.Column('verdict_id', sa.BigInteger(), nullable=True),
    sa.Column('effective_on', sa.Date(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('actor', sa.String(length=254), nullable=False),
    sa.Column('second_actor', sa.String(length=254), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("(action = 'override') = (second_actor is not null) and second_actor is distinct from actor", name=op.f('ck_model_roles_two_people')),
    sa.CheckConstraint("action <> 'promote' or verdict_id is not null", name=op.f('ck_model_roles_promoted_by_gate')),
    sa.CheckConstraint("action in ('register', 'retire', 'promote', 'request_override', 'override', 'rollback', 'hold', 'release')", name=op.f('ck_model_roles_action')),
    sa.CheckConstraint("kind in ('screener', 'allocator')", name=op.f('ck_model_roles_kind')),
    sa.CheckConstraint("role in ('champion', 'challenger')", name=op.f('ck_model_roles_role')),
    sa.CheckConstraint('length(reason) > 0', name=op.f('ck_model_roles_reason')),
    sa.ForeignKeyConstraint(['model_version_id'], ['model_versions.model_version_id'], name=op.f('fk_model_roles_model_version_id')),
    sa.ForeignKeyConstraint(['verdict_id'], ['gate_verdicts.verdict_id'], name=op.f('fk_model_roles_verdict_id')),
    sa.PrimaryKeyConstraint('model_role_id', name=op.f('pk_model_roles'))
    )
    op.create_index('ix_model_roles_name_effective_on', 'model_roles', ['name', 'effective_on'], unique=False)
    op.create_table('shadow_days',
    sa.Column('strategy', sa.String(length=32), nullable=False),
    sa.Column('lane', sa.String(length=16), nullable=False),
    sa.Column('session_on', sa.Date(), nullable=False),
    sa.Column('value_cents', sa.BigInteger(), nullable=False),
    sa.Column('cash_cents', sa.BigInteger(), nullable=False),
    sa.Column('traded_cents', sa.BigInteger(), nullable=False),
    sa.Column('costs_cents', sa.BigInteger(), nullable=False),
    sa.Column('holdings', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('allocation_id', sa.BigInteger(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("lane in ('served', 'plain', 'screener', 'allocator')", name=op.f('ck_shadow_days_lane')),
    sa.CheckConstraint('value_cents > 0', name=op.f('ck_shadow_days_value')),
    sa.ForeignKeyConstraint(['allocation_id'], ['allocations.allocation_id'], name=op.f('fk_shadow_days_allocation_id')),
    sa.PrimaryKeyConstraint('strategy', 'lane', 'session_on', name=op.f('pk_shadow_days'))
    )
    op.create_index(op.f('ix_shadow_days_allocation_id'), 'shadow_days', ['allocation_id'], unique=False)
    op.add_column('allocations', sa.Column('lane', sa.String(length=16), server_default='served', nullable=False))
    op.drop_constraint(op.f('uq_allocations_session_on_strategy'), 'allocations', type_='unique')
    op.create_unique_constraint(op.f('uq_allocations_session_on_strategy_lane'), 'allocations', ['session_on', 'strategy', 'lane'])
    op.add_column('model_versions', sa.Column('algorithm', sa.String(length=16), nullable=True))
    op.execute("update model_versions set algorithm = case kind when 'screener' then 'xgboost' else 'ppo' end")
    op.alter_column('model_versions', 'algorithm', nullable=False)
    op.add_column('model_versions', sa.Column('trial_id', sa.BigInteger(), nullable=True))
    op.create_index(op.f('ix_model_versions_trial_id'), 'model_versions', ['trial_id'], unique=False)
    op.create_foreign_key(op.f('fk_model_versions_trial_id'), 'model_versions', 'trials', ['trial_id'], ['trial_id'])
    op.add_column('score_batches', sa.Column('lane', sa.String(length=16), server_default='served', nullable=False))
    op.add_column('score_batches', sa.Column('source', sa.String(length=16), server_default='model', nullable=False))
    op.add_column('score_batches', sa.Column('source_reason', sa.Text(), server_default='', nullable=False))
    op.drop_constraint(op.f('uq_score_batches_session_on_strategy'), 'score_batches', type_='unique')
    op.create_unique_constraint(op.f('uq_score_batches_session_on_strategy_lane'), 'score_batches', ['session_on', 'strategy', 'lane'])
    op.create_check_constraint('lane', 'allocations', "lane in ('served', 'plain', 'screener', 'allocator')")
    op.create_check_constraint('lane', 'score_batches', "lane in ('served', 'plain', 'screener')")
    op.create_check_constraint('source', 'score_batches', "source in ('model', 'rule')")
    op.drop_constraint('model', 'score_batches', type_='check')
    op.create_check_constraint(
        'model', 'score_batches', "status = 'refused' or source = 'rule' or model_version_id is not null"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"create trigger append_only before update or delete on {table}"
            " for each row execute function refuse_change()"
        )
        op.execute(
            f"create trigger append_only_truncate before truncate on {table}"
            " for each statement execute function refuse_change()"
        )


def downgrade() -> None:
    for table in APPEND_ONLY:
        op.execute(f"drop trigger append_only on {table}")
        op.execute(f"drop trigger append_only_truncate on {table}")
    op.execute("delete from shadow_days")
    for lanes in ("allocations", "score_batches"):
        op.execute(f"delete from {lanes} where lane <> 'served'")
    # A night that a rule has scored has no place in the old schema: this line then refuses.
    op.drop_constraint('model', 'score_batches', type_='check')
    op.create_check_constraint('model', 'score_batches', "status = 'refused' or model_version_id is not null")
    op.drop_constraint('source', 'score_batches', type_='check')
    op.drop_constraint('lane', 'score_batches', type_='check')
    op.drop_constraint('lane', 'allocations', type_='check')
    op.drop_constraint(op.f('uq_score_batches_session_on_strategy_lane'), 'score_batches', type_='unique')
    op.create_unique_constraint(op.f('uq_score_batches_session_on_strategy'), 'score_batches', ['session_on', 'strategy'])
    op.drop_column('score_batches', 'source_reason')
    op.drop_column('score_batches', 'source')
    op.drop_column('score_batches', 'lane')
    op.drop_constraint(op.f('fk_model_versions_trial_id'), 'model_versions', type_='foreignkey')
    op.drop_index(op.f('ix_model_versions_trial_id'), table_name='model_versions')
    op.drop_column('model_versions', 'trial_id')
    op.drop_column('model_versions', 'algorithm')
    op.drop_constraint(op.f('uq_allocations_session_on_strategy_lane'), 'allocations', type_='unique')
    op.create_unique_constraint(op.f('uq_allocations_session_on_strategy'), 'allocations', ['session_on', 'strategy'])
    op.drop_column('allocations', 'lane')
    op.drop_index(op.f('ix_shadow_days_allocation_id'), table_name='shadow_days')
    op.drop_table('shadow_days')
    op.drop_index('ix_model_roles_name_effective_on', table_name='model_roles')
    op.drop_table('model_roles')
    op.drop_index(op.f('ix_gate_verdicts_model_version_id'), table_name='gate_verdicts')
    op.drop_table('gate_verdicts')
    op.drop_index('uq_drift_readings_reading', table_name='drift_readings', postgresql_nulls_not_distinct=True)
    op.drop_index('ix_drift_readings_subject_session_on', table_name='drift_readings')
    op.drop_index(op.f('ix_drift_readings_model_version_id'), table_name='drift_readings')
    op.drop_table('drift_readings')
    op.drop_table('trial_returns')
    op.drop_table('trials')
    op.drop_index(op.f('ix_leak_audits_code_hash'), table_name='leak_audits')
    op.drop_table('leak_audits')
    op.drop_index('uq_alerts_open', table_name='alerts', postgresql_where=sa.text('settled_at is null'))
    op.drop_table('alerts')
