"""Limits of a laboratory"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("lab", sa.Column("most_runs", sa.Integer(), nullable=True))
    op.add_column("lab", sa.Column("most_upload_bytes", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("lab") as batch_op:
        batch_op.drop_column("most_upload_bytes")
        batch_op.drop_column("most_runs")
