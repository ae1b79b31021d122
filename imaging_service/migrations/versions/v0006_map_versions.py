"""Versions of plate maps, and the one that a run was analysed with"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plate_map",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("plate_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("records", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["plate_id"], ["plate.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("plate_id", "version", name="one_map_a_version"),
        sa.UniqueConstraint("plate_id", "digest", name="one_version_a_map"),
    )
    op.create_index("ix_plate_map_plate_id", "plate_map", ["plate_id"])
    op.add_column("run", sa.Column("map_version", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("run") as batch_op:
        batch_op.drop_column("map_version")
    op.drop_table("plate_map")
