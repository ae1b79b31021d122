"""The priority of a run"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "run", sa.Column("priority", sa.String(), nullable=False, server_default="normal")
    )


def downgrade() -> None:
    with op.batch_alter_table("run") as batch_op:
        batch_op.drop_column("priority")
