"""When a proposal is void."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("recommendations", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_recommendations_proposed",
        "recommendations",
        ["expires_at"],
        postgresql_where=sa.text("status = 'proposed'"),
    )


def downgrade() -> None:
    op.drop_index("ix_recommendations_proposed", table_name="recommendations")
    op.drop_column("recommendations", "expires_at")
