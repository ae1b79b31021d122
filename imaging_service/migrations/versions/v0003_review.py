"""Tables that follow the review, and claims on its queue"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "review_claim",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("reading", sa.String(), nullable=False),
        sa.Column("well", sa.String(), nullable=False),
        sa.Column("field", sa.Integer(), nullable=False),
        sa.Column("reviewer", sa.String(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("run_id", "reading", "well", "field", name="one_claim_a_field"),
    )
    with op.batch_alter_table("review_claim", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_review_claim_run_id"), ["run_id"], unique=False)
    # Earlier runs and rows are of the engine's labels. The defaults are for them only; new rows
    # name their own.
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.add_column(sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
        batch_op.add_column(
            sa.Column("review_reason", sa.String(), nullable=False, server_default="")
        )
    with op.batch_alter_table("table_row", schema=None) as batch_op:
        batch_op.add_column(sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
        batch_op.drop_index("by_run_and_kind")
        batch_op.drop_constraint("one_row_a_position", type_="unique")
        batch_op.create_unique_constraint(
            "one_row_a_position", ["run_id", "revision", "kind", "position"]
        )
        batch_op.create_index("by_run_and_kind", ["run_id", "revision", "kind"], unique=False)


def downgrade() -> None:
    op.execute("DELETE FROM table_row WHERE revision <> 1")
    with op.batch_alter_table("table_row", schema=None) as batch_op:
        batch_op.drop_index("by_run_and_kind")
        batch_op.drop_constraint("one_row_a_position", type_="unique")
        batch_op.drop_column("revision")
        batch_op.create_unique_constraint("one_row_a_position", ["run_id", "kind", "position"])
        batch_op.create_index("by_run_and_kind", ["run_id", "kind"], unique=False)
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_column("review_reason")
        batch_op.drop_column("revision")
    with op.batch_alter_table("review_claim", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_review_claim_run_id"))
    op.drop_table("review_claim")
