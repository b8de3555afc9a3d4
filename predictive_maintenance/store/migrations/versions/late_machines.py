"""Since when all readings of a machine have been late."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pdm_machines", sa.Column("late_since", sa.BigInteger()))
    op.add_column("pdm_machines", sa.Column("late_received", sa.BigInteger()))
