"""Incidents of monitoring."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = sa.text("closed IS NULL")


def upgrade() -> None:
    op.create_table(
        "pdm_incidents",
        sa.Column("key", _KEY, primary_key=True),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.BigInteger()),
        sa.Column("closed_by", sa.Text()),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("trained", sa.BigInteger()),
    )
    op.create_index(
        "pdm_incidents_open", "pdm_incidents", ["model"], unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN
    )
