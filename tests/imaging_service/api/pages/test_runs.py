from __future__ import annotations

import re
import shutil
import tomllib
from dataclasses import replace
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from imaging_service.database.session import database_engine
from imaging_service.database.tables import RunRow
from imaging_service.database.tenants import LOCAL_PROJECT
from imaging_service.jobs.records import RunFolder, WellTask, load, save
from imaging_service.review.local import LocalRun
from tests.imaging_service.tenants import RUN
from tests.messages import states


def change(served, statement):
    with database_engine(served.settings.url).begin() as connection:
        connection.execute(sa.text(statement))


def test_a_finished_run_says_what_it_found_with_effect_interval_and_link(site):
    page = site.get("/view/RUN").text
    found = re.search(r'<a href="(/view/[^"]+/curve[^"]+)">([^<]+)</a>', page)
    assert all(n in found[2] for n in ("L1", "60 (40 … 80)", "3 µM (1 µM … open)", "0.004"))
    assert site.get(found[1].replace("&amp;", "&")).status_code == 200
    assert "not_measured" not in page
    assert page.count('<a class="line line-') == 7
    assert f'<a href="/view/{site.run}/line?name=L1">L1</a>' in page


def test_a_run_leads_to_the_protocol_and_the_map_that_it_was_made_with(site):
    page = site.get("/view/RUN").text
    links = re.findall(r'href="(/(?:projects|plates)/[^"]+)"', page)
    assert [link.split("/")[3] for link in links] == ["protocols", "maps"] * 2
    protocol, plate_map = (site.get(link) for link in links[:2])
    assert tomllib.loads(protocol.text)["name"] == "small"
    assert [w["well"] for w in plate_map.json()] == [
        "B02",
        "B03",
        "B04",
        "B05",
        "C02",
        "C03",
        "C04",
    ]


def test_a_failed_well_is_shown_with_its_reason_and_a_retry(served):
    change(served, "UPDATE well_result SET status='failed', reason='<b>blank</b>' WHERE well='B02'")
    page = served.get("/view/RUN").text
    assert "&lt;b&gt;blank&lt;/b&gt;" in page
    assert "<b>blank</b>" not in page
    assert f'action="/view/{served.run}/retry?well=B02"' in page
    listed = served.get("/").text
    assert f'<a class="tag failed" href="/view/{served.run}#failed">1</a>' in listed
    answer = served.ask("POST", "/view/RUN/retry?well=B02")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/view/{served.run}")
    assert served.get("/runs/RUN").json()["state"] == "queued"


def test_a_well_that_did_not_fail_is_not_tried_again(site):
    answer = site.ask("POST", "/view/RUN/retry?well=B02")
    assert answer.status_code == 404
    assert "B02" in answer.text


@pytest.mark.parametrize("verb", ["cancel", "resume"])
def test_what_a_finished_run_refuses_is_a_page(site, verb):
    answer = site.ask("POST", f"/view/RUN/{verb}")
    assert (answer.status_code, answer.headers["content-type"]) == (
        409,
        "text/html; charset=utf-8",
    )


def test_a_run_that_goes_on_asks_for_its_progress_until_it_has_ended(served):
    change(served, "UPDATE run SET state='running'")
    change(served, "DELETE FROM well_result WHERE well='C03'")
    page = served.get("/view/RUN").text
    assert f'hx-get="/view/{served.run}/progress"' in page
    part = served.get("/view/RUN/progress").text
    assert part.lstrip().startswith('<div id="progress"')
    assert len(re.findall(r'<g class="done">', part)) == 5
    assert len(re.findall(r'<g class="left">', part)) == 1
    assert len(re.findall(r'<g class="skipped">', part)) == 1
    assert served.ask("POST", "/view/RUN/cancel").status_code == 303
    assert served.get("/view/RUN/progress").headers["hx-refresh"] == "true"
    assert served.ask("POST", "/view/RUN/resume").status_code == 303


def test_a_run_shows_its_scan_before_its_wells_are_done(served):
    change(served, "UPDATE run SET state='running'")
    page = served.get("/view/RUN").text
    assert states("arrival.all_are_fine", page)
    pictures = re.findall(r'src="(/runs/[^"]+/arrival/plates/[0-9]\.png)"', page)
    assert [served.get(p).status_code for p in pictures] == [200, 200, 200]
    link = f'<a href="/runs/{served.run}/arrival">How the scan looked</a>'
    assert served.get("/view/RUN/progress").text.count(link) == 1


def test_a_run_of_an_older_version_says_that_its_scan_was_not_looked_at(served):
    shutil.rmtree(served.folder / "arrival")
    assert states("arrival.older_page", served.get("/view/RUN").text)
    change(served, "UPDATE run SET state='running'")
    assert '<section id="scan">' not in served.get("/view/RUN").text
    assert "/arrival" not in served.get("/view/RUN/progress").text


def test_a_run_that_failed_says_why_and_can_be_tried_again(served):
    change(served, "UPDATE run SET state='failed', reason='no two vehicle fields'")
    page = served.get("/view/RUN").text
    assert '<p class="notice bad">' in page
    assert f'action="/view/{served.run}/retry"' in page
    answer = served.get("/view/RUN/plate")
    assert answer.status_code == 409


LATER = ("plate", "responses", "quality", "review", "wells/B04", "line?name=L1", "compound?name=x")


@pytest.mark.parametrize("path", LATER)
def test_a_page_of_a_run_that_goes_on_shows_its_progress_and_follows(served, path):
    change(served, "UPDATE run SET state='running'")
    answer = served.get(f"/view/RUN/{path}")
    assert answer.status_code == 409
    assert f'hx-get="/view/{served.run}/progress"' in answer.text
    assert "htmx.min.js" in answer.text
    assert '<p class="notice bad">' not in answer.text
    assert f'<a href="/view/{served.run}/quality">Quality</a>' in answer.text


@pytest.mark.parametrize(
    ("state", "can_be"), [("failed", "tried again"), ("cancelled", "continued")]
)
def test_a_page_of_a_run_that_ended_without_tables_says_where_it_goes_on(served, state, can_be):
    change(served, f"UPDATE run SET state='{state}', reason='<no> light'")
    answer = served.get("/view/RUN/plate")
    assert answer.status_code == 409
    assert "&lt;no&gt; light" in answer.text
    assert f'<a href="/view/{served.run}">run\'s page</a> it can be {can_be}' in answer.text
    assert "hx-get" not in answer.text


def test_progress_comes_first_until_a_run_is_done(served):
    def order():
        page = served.get("/view/RUN").text
        return sorted(("findings", "scan", "progress"), key=lambda part: page.find(f'id="{part}"'))

    assert order() == ["findings", "scan", "progress"]
    change(served, "UPDATE run SET state='running'")
    # There is nothing found yet.
    assert order() == ["findings", "progress", "scan"]


def test_buttons_of_operators_are_not_shown_to_a_viewer(two_labs):
    def buttons(caller):
        page = two_labs.ask(caller, "GET", f"/view/{RUN}").text
        return re.findall(r'action="/view/[^/]+/(\w+)', page)

    with two_labs.session() as session:
        session.exec(sa.update(RunRow).values(state="running"))
        session.commit()
        assert (buttons("viewer"), buttons("operator")) == ([], ["cancel"])
        session.exec(sa.update(RunRow).values(state="failed", reason="no light"))
        session.commit()
        assert (buttons("viewer"), buttons("operator")) == ([], ["retry"])


def test_a_well_that_failed_says_when_a_retry_helps(served):
    change(served, "UPDATE well_result SET status='failed', reason='blank' WHERE well='B02'")
    page = served.get("/view/RUN").text
    assert f'<td><a href="/view/{served.run}/wells/B02">B02</a></td>' in page
    assert states("pages.retry_helps", page)
    assert not states("pages.retry_all", page)


def test_a_well_that_was_submitted_damaged_leads_to_a_new_submission(served):
    path = RunFolder(served.folder).task("B02")
    task = load(WellTask, path)
    save(replace(task, plan=replace(task.plan, images=task.plan.images[1:])), path)
    change(
        served, "UPDATE well_result SET status='failed', reason='x' WHERE well IN ('B02', 'B03')"
    )
    # As the well table has it, which the well's own page reads.
    change(
        served,
        """UPDATE table_row SET content=json_set(content, '$.status', 'failed', '$.n_fields', 0)
        WHERE kind='wells' AND json_extract(content, '$.well') IN ('B02', 'B03')""",
    )
    again = f"/submit/scan?project={LOCAL_PROJECT}&amp;scan={quote(str(task.plan.root), safe='')}"
    for page in (served.get("/view/RUN").text, served.get("/view/RUN/wells/B02").text):
        assert "retry?well=B02" not in page
        assert f'<a href="{again}">submit the plate again</a>' in page
        assert states("pages.submitted_damaged", page, wells="B02")
    page = served.get("/view/RUN").text
    assert "retry?well=B03" in page
    # All that can be: one, which has its own button.
    assert not states("pages.retry_all", page)
    page = served.get("/view/RUN/wells/B03").text
    assert "retry?well=B03" in page
    assert not states("pages.submitted_damaged", page, wells="B03")


def test_the_report_of_a_run_that_was_reviewed_since_is_one_of_before_the_review(served):
    assert states("pages.report", served.get("/view/RUN").text)
    change(served, "UPDATE run SET revision=2")
    assert states("pages.report_before_review", served.get("/view/RUN").text)


def test_the_queue_leads_to_its_fields(site):
    page = site.get("/view/RUN/review").text
    queue = LocalRun(site.folder).queue()
    assert '<progress max="12" value="0"' in page
    listed = re.findall(rf'<td class="name"><a href="/view/{site.run}/wells/([^"]+)">', page)
    assert listed == [e.well + (f"?field={e.field}" if e.field > 1 else "") for e in queue]


def test_a_page_beyond_the_last_is_the_last(site):
    assert site.get("/view/RUN/review?page=99").text == site.get("/view/RUN/review").text
