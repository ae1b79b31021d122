"""Tables of laboratories, their members, projects and keys, and of the audit log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from imaging_service.settings import LOCAL_PROJECT as LOCAL_PROJECT

# What a service holds before it has keys, and what earlier releases wrote, belongs to this project
# of this laboratory.
LOCAL_LAB = "local"


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class Moment(sa.TypeDecorator[datetime]):
    """A time in UTC. SQLite stores it without its zone, and Postgres gives it in its own."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """In UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """With its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class LabRow(SQLModel, table=True):
    """A laboratory: the owner of projects and of a line registry, with members.

    `most_runs` is how many of its runs may go on at once, `most_upload_bytes` how large its
    uploads may be together; None: no limit.
    """

    __tablename__ = "lab"

    id: str = Field(primary_key=True)
    name: str
    most_runs: int | None = None
    most_upload_bytes: int | None = Field(default=None, sa_type=sa.BigInteger)
    created_at: datetime = Field(default_factory=now, sa_type=Moment)


class MemberRow(SQLModel, table=True):
    """A member of one laboratory, with a role in its projects.

    `everywhere` makes the member an administrator of all laboratories. `issuer` and `subject` are
    those of the sign-in at an identity provider, `email` is what the first sign-in is matched by.
    """

    __tablename__ = "member"
    __table_args__ = (sa.UniqueConstraint("issuer", "subject", name="one_member_a_subject"),)

    id: str = Field(primary_key=True)
    lab_id: str = Field(foreign_key="lab.id", index=True)
    name: str = Field(unique=True)
    email: str | None = Field(default=None, unique=True)
    role: str
    everywhere: bool = False
    issuer: str | None = None
    subject: str | None = None
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)


class ProjectRow(SQLModel, table=True):
    """What runs, plates, uploads and screens belong to."""

    __tablename__ = "project"

    id: str = Field(primary_key=True)
    lab_id: str = Field(foreign_key="lab.id", index=True)
    name: str
    created_at: datetime = Field(default_factory=now, sa_type=Moment)


class ShareRow(SQLModel, table=True):
    """A project that another laboratory may use, at most in this role."""

    __tablename__ = "share"

    project_id: str = Field(primary_key=True, foreign_key="project.id")
    lab_id: str = Field(primary_key=True, foreign_key="lab.id", index=True)
    role: str


class KeyRow(SQLModel, table=True):
    """An API key of a member: its digest only, and what it may be used for.

    `role` is the most that the key may do, in whatever role its owner has; `project_id`, where
    given, the only project.
    """

    __tablename__ = "api_key"

    id: str = Field(primary_key=True)
    member_id: str = Field(foreign_key="member.id", index=True)
    name: str
    digest: str
    role: str
    project_id: str | None = Field(default=None, foreign_key="project.id")
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)
    revoked_at: datetime | None = Field(default=None, sa_type=Moment)
    used_at: datetime | None = Field(default=None, sa_type=Moment)


class AuditRow(SQLModel, table=True):
    """One entry of the audit log. The database refuses to change or remove it.

    A request that changes something has two: `begun` before it is carried out, and its HTTP status
    afterwards. `request` joins them.
    """

    __tablename__ = "audit"

    id: int | None = Field(default=None, primary_key=True)
    time: datetime = Field(default_factory=now, sa_type=Moment)
    actor: str
    key_id: str = ""
    lab_id: str = Field(default="", index=True)
    project_id: str = Field(default="", index=True)
    action: str
    object: str = ""
    outcome: str
    request: str = ""
