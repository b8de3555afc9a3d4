"""The audit log, and who has acknowledged an alarm."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pdm_audit",
        sa.Column("key", _KEY, primary_key=True),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("person", sa.Text()),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
    )
    op.create_index("pdm_audit_at", "pdm_audit", ["at"])
    op.add_column("pdm_alarms", sa.Column("acknowledged", sa.BigInteger()))
    op.add_column("pdm_alarms", sa.Column("acknowledged_by", sa.Text()))
