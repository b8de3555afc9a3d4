"""The log of predictions."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "pdm_predictions",
        sa.Column("began", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("writer", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("predictions", sa.BigInteger(), nullable=False),
        sa.Column("alarms", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
    )
