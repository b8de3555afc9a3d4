"""What people found out about alarms and predictions."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pdm_feedback",
        sa.Column("key", _KEY, primary_key=True),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text()),
        sa.Column("failed", sa.BigInteger()),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
    )
    op.create_index("pdm_feedback_subject", "pdm_feedback", ["model", "kind", "name", "place", "key"])
