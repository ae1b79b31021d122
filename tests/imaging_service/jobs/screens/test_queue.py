"""Orders of screens: what is refused, what is the same, what is removed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import select

from imaging_service import __version__
from imaging_service.database.compounds import merge_compounds
from imaging_service.database.session import find_screen
from imaging_service.database.tables import PlateRow, RunRow, ScreenRow
from imaging_service.database.tenants import LOCAL_PROJECT, ProjectRow
from imaging_service.errors import NotFound, NotReady, ScreenError
from imaging_service.jobs.durable.queue import job_client
from imaging_service.jobs.screens.queue import adopt_screens, delete_screen, order_screen
from imaging_service.jobs.screens.workflow import screen_folder
from imaging_service.orders import NewScreen
from imaging_service.review.log import ReviewLog
from imaging_service.screens.order import read_order
from tests.imaging_service.written_runs import LINES
from tests.messages import says, states


@pytest.fixture
def session(screened):
    with screened.session() as opened:
        yield opened


def wanted(runs, **more):
    return NewScreen(name="als", runs=[{"run": run} for run in runs], **more)


def jobs(screened, screen):
    return [
        j.workflow_id
        for j in job_client(screened.settings.url).list_workflows(
            workflow_id_prefix=f"screen:{screen}"
        )
    ]


def test_a_screen_is_queued_once_with_the_registry_of_its_laboratory(screened, session):
    merge_compounds(session, "id\tname\tblinded_code\nC1\tdrug\tB-7\n", "c.tsv", "local")
    ordered = order_screen(
        screened.settings, session, wanted(screened.runs[:2]), LOCAL_PROJECT, "Ada"
    )
    again = order_screen(
        screened.settings, session, wanted(screened.runs[1::-1]), LOCAL_PROJECT, "Bob"
    )
    assert again.id == ordered.id
    assert (ordered.state, ordered.n_plates, ordered.author) == ("queued", 2, "Ada")
    assert jobs(screened, ordered.id) == [f"screen:{ordered.id}:1"]
    order = read_order(screen_folder(screened.settings, LOCAL_PROJECT, ordered.id))
    assert [run.run for run in order.runs] == screened.runs[:2]
    assert all(line in order.lines for line in LINES)
    assert ("drug" in order.compounds, "B-7" in order.compounds) == (True, False)
    assert order.software_version == __version__


def test_a_screen_that_failed_is_tried_again(screened, session):
    ordered = order_screen(screened.settings, session, wanted(screened.runs[:1]), LOCAL_PROJECT, "")
    ordered.state, ordered.reason = "failed", "disk full"
    session.commit()
    again = order_screen(screened.settings, session, wanted(screened.runs[:1]), LOCAL_PROJECT, "")
    assert (again.id, again.state, again.reason, again.attempt) == (ordered.id, "queued", "", 2)
    assert len(jobs(screened, ordered.id)) == 2


def test_a_run_of_another_project_does_not_exist(screened, session):
    session.add(ProjectRow(id="other", lab_id="local", name="other"))
    session.flush()
    row = session.get_one(RunRow, screened.runs[0])
    row.project_id = "other"
    session.commit()
    with pytest.raises(NotFound) as foreign:
        order_screen(screened.settings, session, wanted(screened.runs[:1]), LOCAL_PROJECT, "")
    with pytest.raises(NotFound) as missing:
        order_screen(screened.settings, session, wanted(["f" * 64]), LOCAL_PROJECT, "")
    assert str(foreign.value) == str(missing.value).replace("f" * 64, screened.runs[0])


def test_what_cannot_be_put_together_is_refused_before_anything_is_written(screened, session):
    first, second = (session.get_one(RunRow, run) for run in screened.runs[:2])
    with pytest.raises(ScreenError, match=says("order.one_plate")):
        order_screen(screened.settings, session, wanted([first.id, first.id]), LOCAL_PROJECT, "")
    first.state = "running"
    with pytest.raises(NotReady, match=says("order.run_not_done", state="running")):
        order_screen(screened.settings, session, wanted([first.id]), LOCAL_PROJECT, "")
    with pytest.raises(ScreenError, match=says("order.floor_of", phenotype="hope")):
        order_screen(
            screened.settings,
            session,
            wanted([second.id], effect_floor={"hope": 1.0}),
            LOCAL_PROJECT,
            "",
        )
    assert session.exec(select(ScreenRow)).all() == []
    assert not (screened.settings.project_root(LOCAL_PROJECT) / "screens").exists() or not list(
        (screened.settings.project_root(LOCAL_PROJECT) / "screens").iterdir()
    )


def test_a_run_whose_tables_do_not_follow_its_review_is_waited_for(screened, session, monkeypatch):
    monkeypatch.setattr(ReviewLog, "revision", lambda _: 4)
    with pytest.raises(NotReady, match=says("order.review_not_followed")):
        order_screen(screened.settings, session, wanted(screened.runs[:1]), LOCAL_PROJECT, "")


def test_a_screen_that_has_ended_is_removed_and_its_runs_stay(screened, session):
    ordered = order_screen(screened.settings, session, wanted(screened.runs[:1]), LOCAL_PROJECT, "")
    screen = ordered.id
    with pytest.raises(NotReady, match=says("order.not_ended", state="queued")):
        delete_screen(screened.settings, session, LOCAL_PROJECT, screen)
    ordered.state = "failed"
    session.commit()
    delete_screen(screened.settings, session, LOCAL_PROJECT, screen)
    assert jobs(screened, screen) == []
    assert not screen_folder(screened.settings, LOCAL_PROJECT, screen).exists()
    with pytest.raises(NotFound):
        find_screen(session, LOCAL_PROJECT, screen)
    assert len(session.exec(select(PlateRow)).all()) == 3


def test_a_screen_of_an_older_version_ends_and_one_without_a_job_goes_on(screened, session):
    kept = order_screen(screened.settings, session, wanted(screened.runs[:1]), LOCAL_PROJECT, "").id
    old = order_screen(screened.settings, session, wanted(screened.runs[1:2]), LOCAL_PROJECT, "").id
    file = screen_folder(screened.settings, LOCAL_PROJECT, old) / "order.json"
    file.write_text(file.read_text().replace(f'"{__version__}"', '"0.0.1"'))
    assert adopt_screens(screened.settings) == {old: "failed"}
    client = job_client(screened.settings.url)
    client.delete_workflows([f"screen:{kept}:1"])
    assert adopt_screens(screened.settings) == {kept: "goes on"}
    session.expire_all()
    assert states(
        "order.other_version", find_screen(session, LOCAL_PROJECT, old).reason, version="0.0.1"
    )
    assert jobs(screened, kept) == [f"screen:{kept}:2"]


def test_a_run_that_was_removed_and_submitted_again_makes_another_screen(screened, session):
    """Its id, attempt and revision are those of before, and its review need not be."""
    first = order_screen(screened.settings, session, wanted(screened.runs[:2]), LOCAL_PROJECT, "")
    session.get_one(RunRow, screened.runs[0]).submitted_at += timedelta(hours=1)
    session.commit()
    other = order_screen(screened.settings, session, wanted(screened.runs[:2]), LOCAL_PROJECT, "")
    assert other.id != first.id
    assert screened.work(first.id) == "failed"
    session.expire_all()
    assert states("order.begun_anew", find_screen(session, LOCAL_PROJECT, first.id).reason)
