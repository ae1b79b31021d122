"""Lines and compounds of all runs are counted without reading a row"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("line", "compound"):
        op.drop_index(f"by_kind_and_{name}", "table_row")
        op.create_index(f"by_kind_and_{name}", "table_row", ["kind", name, "run_id", "revision"])


def downgrade() -> None:
    for name in ("compound", "line"):
        op.drop_index(f"by_kind_and_{name}", "table_row")
        op.create_index(f"by_kind_and_{name}", "table_row", ["kind", name])
