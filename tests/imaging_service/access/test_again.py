from __future__ import annotations

from sqlmodel import Session

from imaging_service.access.again import caller_again
from imaging_service.access.callers import caller_with_key, local_caller
from imaging_service.access.keys import revoke
from imaging_service.access.members import find_project, share
from imaging_service.access.roles import Role
from imaging_service.database.session import database_engine
from imaging_service.database.tenants import KeyRow


def test_a_caller_has_the_roles_of_now_and_ends_with_the_key(two_labs):
    with two_labs.session() as session:
        caller = caller_with_key(session, two_labs.keys["other lab"])
        assert caller_again(session, caller).roles == {"ftd": Role.ADMINISTRATOR}
        share(session, find_project(session, "als"), "beta", Role.VIEWER)
        assert caller_again(session, caller).roles["als"] is Role.VIEWER
        revoke(session.get_one(KeyRow, caller.key))
        session.flush()
        assert caller_again(session, caller) is None


def test_the_local_user_ends_with_the_first_member(two_labs, data_folder):
    with Session(database_engine(data_folder.url)) as session:
        caller = local_caller(session)
        assert caller_again(session, caller).local
    with two_labs.session() as session:
        assert caller_again(session, caller) is None
