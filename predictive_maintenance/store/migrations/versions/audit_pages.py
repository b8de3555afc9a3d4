"""Indices by which a page of the audit log is read without its other entries."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("pdm_audit_page", "pdm_audit", ["model", "key"])
    op.create_index("pdm_audit_action", "pdm_audit", ["model", "action", "key"])
