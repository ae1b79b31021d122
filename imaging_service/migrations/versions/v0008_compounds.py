"""The compound registry of a laboratory"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "compound",
        sa.Column("lab_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["lab_id"], ["lab.id"]),
        sa.PrimaryKeyConstraint("lab_id", "id"),
    )


def downgrade() -> None:
    op.drop_table("compound")
