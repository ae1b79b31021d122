from __future__ import annotations

import pytest

from imaging_service.access.keys import have_keys
from imaging_service.access.members import (
    add_lab,
    add_member,
    add_project,
    end_member,
    find_lab,
    find_member,
    find_project,
    share,
)
from imaging_service.access.roles import Role
from imaging_service.database.tenants import LOCAL_LAB
from imaging_service.errors import AccessRefused, NotFound
from imaging_service.settings import LOCAL_PROJECT
from tests.messages import says


@pytest.fixture
def session(two_labs):
    with two_labs.session() as opened:
        yield opened


@pytest.mark.parametrize("slug", ["", "Smith", "a b", "../x", "-x", "x/y", 41 * "x", "é", "x\n"])
def test_an_id_that_could_not_be_a_folder_is_refused(session, slug):
    with pytest.raises(AccessRefused):
        add_lab(session, slug)
    with pytest.raises(AccessRefused):
        add_project(session, "alpha", slug)


@pytest.mark.parametrize("name", ["", " ", 101 * "x", "a\nb"])
def test_a_member_without_a_name_that_can_sign_is_refused(session, name):
    with pytest.raises(AccessRefused):
        add_member(session, "alpha", name, Role.VIEWER)


def test_names_and_addresses_are_unique_in_the_service(session):
    add_member(session, "alpha", "ann", Role.VIEWER, email="Ann@Example.org ")
    assert find_member(session, "ann").email == "ann@example.org"
    for more in ({"name": "ann"}, {"name": "bob", "email": "ann@example.org"}):
        with pytest.raises(AccessRefused):
            add_member(session, "beta", role=Role.VIEWER, **more)
    with pytest.raises(AccessRefused):
        add_lab(session, "alpha")
    with pytest.raises(AccessRefused):
        add_project(session, "beta", "als")


@pytest.mark.parametrize(
    "name", ["ANN Smith", "Ann  Smith", "Αnn Smith", "Аnn Smith", "Ａnn Smith"]
)
def test_a_name_that_reads_like_another_member_s_is_refused(session, name):
    """Reviews in a shared project are signed with it."""
    add_member(session, "alpha", "Ann Smith", Role.REVIEWER)
    with pytest.raises(AccessRefused, match=says("members.look_alike")):
        add_member(session, "beta", name, Role.REVIEWER)
    add_member(session, "beta", "Ann Smyth", Role.REVIEWER)


def test_a_name_that_is_another_member_s_id_is_refused(session):
    """Members are found by either."""
    known = find_member(session, "viewer")
    with pytest.raises(AccessRefused, match=says("members.look_alike")):
        add_member(session, "beta", known.id, Role.REVIEWER)


def test_the_last_administrator_of_the_service_stays(session):
    last = find_member(session, "service")
    with pytest.raises(AccessRefused):
        end_member(session, last)
    assert last.ended_at is None
    add_member(session, "core", "second", Role.ADMINISTRATOR, everywhere=True)
    end_member(session, last)
    assert last.ended_at is not None


def test_a_project_is_not_shared_with_its_own_laboratory_nor_with_an_unknown_one(session):
    project = find_project(session, "als")
    with pytest.raises(AccessRefused):
        share(session, project, "alpha", Role.VIEWER)
    with pytest.raises(NotFound):
        share(session, project, "gamma", Role.VIEWER)
    share(session, project, "beta", Role.VIEWER)
    assert share(session, project, "beta", Role.OPERATOR).role == "operator"


@pytest.mark.parametrize("find", [find_lab, find_member, find_project])
def test_what_is_unknown_is_not_found(session, find):
    with pytest.raises(NotFound):
        find(session, "xyz")


def test_a_new_service_has_the_local_laboratory_and_no_member(data_folder):
    from sqlmodel import Session

    from imaging_service.database.session import database_engine

    with Session(database_engine(data_folder.url)) as session:
        assert find_project(session, LOCAL_PROJECT).lab_id == LOCAL_LAB
        assert not have_keys(session)
