"""How the trainings for incidents ended."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pdm_incidents", sa.Column("training_ended", sa.BigInteger()))
    op.add_column("pdm_incidents", sa.Column("training_result", sa.Text()))
