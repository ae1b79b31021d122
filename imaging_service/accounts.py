"""Messages about laboratories, members, projects, keys and the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from imaging_service.schemas import Sent

RoleName = Literal["viewer", "reviewer", "operator", "administrator"]
_ID = Field(max_length=40, examples=["smith-lab"])
_NAME = Field("", max_length=100)


class Lab(BaseModel):
    """A laboratory."""

    id: str = _ID
    name: str
    most_runs: int | None = Field(None, description="Runs that may go on at once.")
    most_upload_bytes: int | None = Field(None, description="Bytes of all its uploads together.")


class LabLimits(Sent):
    """What a laboratory may use at once; null: no limit."""

    model_config = ConfigDict(extra="forbid")

    most_runs: int | None = Field(ge=0, le=1_000_000, description="Runs that go on at once.")
    most_upload_bytes: int | None = Field(
        ge=0, le=2**62, description="Bytes of all its uploads together."
    )


class NewLab(Sent):
    """A laboratory to add."""

    model_config = ConfigDict(extra="forbid")

    id: str = _ID
    name: str = _NAME


class Member(BaseModel):
    """A member of a laboratory, without the keys."""

    id: str
    name: str = Field(description="The author of the member's reviews.")
    lab_id: str
    role: RoleName
    email: str | None = None
    everywhere: bool = Field(description="Administrator of all laboratories.")
    ended_at: datetime | None = None


class NewMember(Sent):
    """A member to add."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    role: RoleName = "viewer"
    email: str | None = Field(
        None, max_length=200, description="What the first sign-in is recognised by."
    )


class MemberChange(Sent):
    """What changes about a member."""

    model_config = ConfigDict(extra="forbid")

    role: RoleName


class Project(BaseModel):
    """A project, and the caller's role in it."""

    id: str
    name: str
    lab_id: str
    role: RoleName


class NewProject(Sent):
    """A project of the caller's laboratory to add."""

    model_config = ConfigDict(extra="forbid")

    id: str = _ID
    name: str = _NAME


class Share(Sent):
    """The most that members of another laboratory may do in a project."""

    model_config = ConfigDict(extra="forbid")

    lab_id: str = _ID
    role: RoleName = "viewer"


class Key(BaseModel):
    """A key without its secret."""

    id: str
    member_id: str
    name: str = Field(examples=["laptop"])
    role: RoleName = Field(description="The most that the key may do.")
    project_id: str | None = Field(None, description="The only project, where there is one.")
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    used_at: datetime | None = Field(None, description="To the hour.")


class NewKey(Sent):
    """A key of the caller to add."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80)
    role: RoleName = "administrator"
    project_id: str | None = Field(None, max_length=40)
    days: int = Field(365, ge=1, le=3650)


class MadeKey(Key):
    """A key that was just made."""

    key: str = Field(description="Shown this once: the service keeps its digest only.")


class Caller(BaseModel):
    """The caller, as the service knows it."""

    name: str
    lab_id: str
    key: str = Field(description="Id of the key; empty without one.")
    everywhere: bool
    projects: list[Project]


class AuditEntry(BaseModel):
    """One entry of the audit log.

    A request that changes something has two, `begun` before it is carried out and its HTTP status
    afterwards; `request` joins them.
    """

    id: int
    time: datetime
    actor: str
    key_id: str
    lab_id: str
    project_id: str
    action: str = Field(examples=["POST /runs/{run}/cancel"])
    object: str
    outcome: str = Field(examples=["begun", "202"])
    request: str
