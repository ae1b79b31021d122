"""Laboratories, members, projects, keys and the audit log; what there is becomes the local one's"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Written out, not imported: a migration must not change with the code.
LAB, PROJECT = "local", "default"
_SQLITE = """
CREATE TRIGGER audit_{verb} BEFORE {VERB} ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
"""
_POSTGRES = """
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$
"""


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    lab = op.create_table(
        "lab",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "member",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("lab_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("everywhere", sa.Boolean(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("ended_at", moment, nullable=True),
        sa.ForeignKeyConstraint(["lab_id"], ["lab.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("email"),
        sa.UniqueConstraint("issuer", "subject", name="one_member_a_subject"),
    )
    op.create_index("ix_member_lab_id", "member", ["lab_id"])
    project = op.create_table(
        "project",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("lab_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.ForeignKeyConstraint(["lab_id"], ["lab.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_project_lab_id", "project", ["lab_id"])
    op.create_table(
        "share",
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("lab_id", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.ForeignKeyConstraint(["lab_id"], ["lab.id"]),
        sa.PrimaryKeyConstraint("project_id", "lab_id"),
    )
    op.create_index("ix_share_lab_id", "share", ["lab_id"])
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("member_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("revoked_at", moment, nullable=True),
        sa.Column("used_at", moment, nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"]),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_api_key_member_id", "api_key", ["member_id"])
    now = sa.func.current_timestamp()
    op.execute(lab.insert().values(id=LAB, name="This service", created_at=now))
    op.execute(project.insert().values(id=PROJECT, lab_id=LAB, name="Default", created_at=now))
    _audit()
    for table in ("plate", "run"):
        with op.batch_alter_table(table) as batch_op:
            batch_op.add_column(
                sa.Column("project_id", sa.String(), nullable=False, server_default=PROJECT)
            )
            batch_op.create_foreign_key(f"{table}_project", "project", ["project_id"], ["id"])
            batch_op.create_index(f"ix_{table}_project_id", ["project_id"])
    _registry()


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("lab_id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    for column in ("lab_id", "project_id"):
        op.create_index(f"ix_audit_{column}", "audit", [column])
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("update", "delete"):
            op.execute(_SQLITE.format(verb=verb, VERB=verb.upper()))
        return
    op.execute(_POSTGRES)
    op.execute(
        "CREATE TRIGGER audit_unchanged BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()"
    )


def _registry() -> None:
    """Lines, donors and batches get a laboratory in their keys, so the tables are made anew."""
    op.create_table(
        "new_donor",
        sa.Column("lab_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["lab_id"], ["lab.id"]),
        sa.PrimaryKeyConstraint("lab_id", "id"),
    )
    op.create_table(
        "new_line",
        sa.Column("lab_id", sa.String(), nullable=False),
        sa.Column("line", sa.String(), nullable=False),
        sa.Column("donor", sa.String(), nullable=False),
        sa.Column("gene", sa.String(), nullable=False),
        sa.Column("isogenic_parent", sa.String(), nullable=True),
        sa.Column("content", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["lab_id"], ["lab.id"]),
        sa.ForeignKeyConstraint(["lab_id", "donor"], ["new_donor.lab_id", "new_donor.id"]),
        sa.ForeignKeyConstraint(
            ["lab_id", "isogenic_parent"], ["new_line.lab_id", "new_line.line"]
        ),
        sa.PrimaryKeyConstraint("lab_id", "line"),
    )
    op.create_table(
        "new_batch",
        sa.Column("lab_id", sa.String(), nullable=False),
        sa.Column("batch", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["lab_id"], ["lab.id"]),
        sa.PrimaryKeyConstraint("lab_id", "batch"),
    )
    op.execute("INSERT INTO new_donor (lab_id, id) SELECT 'local', id FROM donor")
    op.execute(
        "INSERT INTO new_line (lab_id, line, donor, gene, isogenic_parent, content)"
        " SELECT 'local', line, donor, gene, isogenic_parent, content FROM line"
    )
    op.execute(
        "INSERT INTO new_batch (lab_id, batch, content)"
        " SELECT 'local', batch, content FROM differentiation_batch"
    )
    for old in ("line", "donor", "differentiation_batch"):
        op.drop_table(old)
    op.rename_table("new_donor", "donor")
    op.rename_table("new_line", "line")
    op.rename_table("new_batch", "differentiation_batch")
    for column in ("donor", "gene"):
        op.create_index(f"ix_line_{column}", "line", [column])


def downgrade() -> None:
    raise NotImplementedError("members and keys cannot be kept: restore the backup")
