"""Machines, their readings with the scores, their events and their alarms."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pdm_machines",
        sa.Column("key", _KEY, primary_key=True),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("machine_id", _NAME, nullable=False),
        sa.Column("readings", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger()),
        sa.Column("received", sa.BigInteger()),
        sa.Column("probability", sa.Double()),
        sa.Column("alarm", sa.Boolean()),
        sa.Column("version", sa.Text()),
        sa.UniqueConstraint("model", "machine_id", name="pdm_machines_name"),
    )
    op.create_table(
        "pdm_readings",
        sa.Column("machine", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("time", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("probability", sa.Double()),
        sa.Column("alarm", sa.Boolean()),
        sa.Column("version", sa.Text()),
        sa.Column("sensors", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("pdm_readings_received", "pdm_readings", ["received"])
    op.create_table(
        "pdm_events",
        sa.Column("machine", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("source", _NAME, primary_key=True),
        sa.Column("time", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("type", _NAME, primary_key=True),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("pdm_events_received", "pdm_events", ["received"])
    op.create_table(
        "pdm_alarms",
        sa.Column("machine", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("opened", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("closed", sa.BigInteger()),
        sa.Column("closed_by", sa.Text()),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("pdm_alarms_opened", "pdm_alarms", ["opened"])
