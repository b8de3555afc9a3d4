"""Indices by which each service removes what expires of its own model."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("pdm_predictions_model", "pdm_predictions", ["model", "began"])
    op.create_index("pdm_audit_model", "pdm_audit", ["model", "at"])
    op.drop_index("pdm_audit_at", "pdm_audit")
