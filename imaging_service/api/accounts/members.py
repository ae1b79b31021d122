"""Laboratories and their members."""

from __future__ import annotations

from fastapi import APIRouter, Request
from sqlmodel import Session, col, select

from imaging_service.access.members import add_lab, add_member, end_member, find_lab
from imaging_service.access.roles import Role
from imaging_service.accounts import Lab, LabLimits, Member, MemberChange, NewLab, NewMember
from imaging_service.api.access import CallerDep, LabDep, SessionDep
from imaging_service.database.tenants import LabRow, MemberRow
from imaging_service.errors import AccessRefused, NotFound

router = APIRouter(tags=["accounts"])


@router.get("/labs", summary="Laboratories that the caller may know")
def list_labs(caller: CallerDep, session: SessionDep) -> list[Lab]:
    """The caller's own; all of them for an administrator of the service."""
    query = select(LabRow).order_by(col(LabRow.id))
    if not caller.everywhere:
        query = query.where(LabRow.id == caller.lab)
    return [Lab.model_validate(row, from_attributes=True) for row in session.exec(query).all()]


@router.post("/labs", summary="Add a laboratory", status_code=201)
def post_lab(wanted: NewLab, session: SessionDep, request: Request) -> Lab:
    """For administrators of the service."""
    row = add_lab(session, wanted.id, wanted.name)
    request.state.subject = row.id
    session.commit()
    return Lab.model_validate(row, from_attributes=True)


@router.patch("/labs/{lab}", summary="Limit what a laboratory may use")
def patch_lab(lab: str, limits: LabLimits, session: SessionDep) -> Lab:
    """Runs that go on at once, and bytes of uploads; what is there already stays."""
    row = find_lab(session, lab)
    row.most_runs, row.most_upload_bytes = limits.most_runs, limits.most_upload_bytes
    session.commit()
    return Lab.model_validate(row, from_attributes=True)


@router.get("/members", summary="Members of a laboratory")
def list_members(lab: LabDep, session: SessionDep) -> list[Member]:
    """By name, those who have left included: their reviews are theirs."""
    rows = session.exec(
        select(MemberRow).where(MemberRow.lab_id == lab).order_by(col(MemberRow.name))
    ).all()
    return [_member(row) for row in rows]


@router.post("/members", summary="Add a member", status_code=201)
def post_member(
    wanted: NewMember, lab: LabDep, session: SessionDep, caller: CallerDep, request: Request
) -> Member:
    """The member's keys are made by the member, or by `imaging-service keys add`."""
    if caller.local:
        # The first member closes the way in without keys: another than an administrator would
        # lock everyone out.
        raise AccessRefused(
            "the first member of a service is its administrator; run on its machine:"
            " imaging-service keys first-administrator"
        )
    row = add_member(session, lab, wanted.name, Role(wanted.role), email=wanted.email)
    request.state.subject = row.id
    session.commit()
    return _member(row)


@router.patch("/members/{member}", summary="Change a member's role")
def patch_member(member: str, change: MemberChange, lab: LabDep, session: SessionDep) -> Member:
    """It holds from the next request on."""
    row = _of_lab(session, member, lab)
    row.role = change.role
    session.commit()
    return _member(row)


@router.delete("/members/{member}", summary="End a membership", status_code=204)
def delete_member(member: str, lab: LabDep, session: SessionDep) -> None:
    """The member's keys and sessions end at once; the reviews keep their author."""
    end_member(session, _of_lab(session, member, lab))
    session.commit()


def _of_lab(session: Session, member: str, lab: str) -> MemberRow:
    row = session.get(MemberRow, member)
    if row is None or row.lab_id != lab:
        raise NotFound(f"there is no member {member}")
    return row


def _member(row: MemberRow) -> Member:
    return Member.model_validate(row, from_attributes=True)
