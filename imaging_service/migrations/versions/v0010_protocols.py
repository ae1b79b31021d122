"""Protocols of a project, and the one that a run was analysed with"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "protocol",
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint("project_id", "digest"),
        sa.UniqueConstraint("project_id", "name", "version", name="one_protocol_a_version"),
    )
    op.add_column(
        "run", sa.Column("protocol_digest", sa.String(), nullable=False, server_default="")
    )


def downgrade() -> None:
    with op.batch_alter_table("run") as batch_op:
        batch_op.drop_column("protocol_digest")
    op.drop_table("protocol")
