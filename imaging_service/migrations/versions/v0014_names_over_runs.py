"""Rows of all runs are found by their line or compound"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("by_kind_and_line", "table_row", ["kind", "line"])
    op.create_index("by_kind_and_compound", "table_row", ["kind", "compound"])


def downgrade() -> None:
    op.drop_index("by_kind_and_compound", "table_row")
    op.drop_index("by_kind_and_line", "table_row")
