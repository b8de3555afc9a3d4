"""Deliveries of alarms to another system."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pdm_deliveries",
        sa.Column("machine", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("opened", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("what", sa.Text(), primary_key=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("pdm_deliveries_state", "pdm_deliveries", ["state", "due"])
