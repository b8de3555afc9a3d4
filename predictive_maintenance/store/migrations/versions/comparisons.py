"""Comparisons of a candidate with the version in production."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WHOLE = ("predictions", "both", "only_production", "only_candidate")
_SUMS = (
    "difference",
    "costs_production",
    "costs_production_by_candidate",
    "costs_candidate_by_production",
    "costs_candidate",
)


def _part(name: str, type_: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, type_, primary_key=True, autoincrement=False)


def _counts() -> list[sa.Column[Any]]:
    whole = [sa.Column(name, sa.BigInteger(), nullable=False) for name in _WHOLE]
    return whole + [sa.Column(name, sa.Double(), nullable=False) for name in _SUMS]


def upgrade() -> None:
    op.create_table(
        "pdm_comparisons",
        sa.Column("key", _KEY, primary_key=True),
        sa.Column("model", _NAME, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("candidate", sa.Text(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("checked", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("promotion", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("left_out", sa.Text(), nullable=False),
        sa.Column("labelled", sa.Text()),
        sa.UniqueConstraint("model", "version", "candidate", name="pdm_comparisons_versions"),
    )
    op.create_table(
        "pdm_comparison_places",
        _part("comparison", sa.BigInteger()),
        _part("writer", sa.BigInteger()),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pdm_comparison_days",
        _part("comparison", sa.BigInteger()),
        _part("day", sa.Integer()),
        _part("cluster", sa.Integer()),
        *_counts(),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pdm_comparison_machines",
        _part("comparison", sa.BigInteger()),
        _part("machine_id", _NAME),
        *_counts(),
        sqlite_with_rowid=False,
    )
    op.create_index("pdm_predictions_writer", "pdm_predictions", ["writer", "number"])
