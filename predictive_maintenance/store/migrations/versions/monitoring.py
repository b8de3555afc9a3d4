"""Accepted and rejected readings, and the latest check of monitoring."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "pdm_inputs",
        sa.Column("began", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("writer", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
    )
    op.create_table(
        "pdm_production_checks",
        sa.Column("model", _NAME, primary_key=True),
        sa.Column("checked", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
    )
