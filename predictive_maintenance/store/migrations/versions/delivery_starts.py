"""Since when alarms of each model are delivered."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "pdm_delivery_starts",
        sa.Column("model", _NAME, primary_key=True),
        sa.Column("started", sa.BigInteger(), nullable=False),
    )
    # Models with deliveries have begun, at a time that is not known.
    op.execute(
        "INSERT INTO pdm_delivery_starts (model, started) SELECT DISTINCT m.model, 0 "
        "FROM pdm_deliveries AS d JOIN pdm_machines AS m ON m.key = d.machine"
    )
