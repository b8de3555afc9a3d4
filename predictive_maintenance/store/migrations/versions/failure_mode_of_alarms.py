"""The likeliest failure mode of an alarm when it opened."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pdm_alarms", sa.Column("mode", sa.Text()))
    op.add_column("pdm_alarms", sa.Column("mode_probability", sa.Double()))
