from __future__ import annotations

import re
import shutil
from datetime import timedelta

from sqlmodel import Session

from imaging_service.database.session import database_engine
from imaging_service.database.tables import PlateRow, RunRow
from imaging_service.web.templating import tag


def test_each_well_of_the_heat_map_leads_to_its_page(site):
    page = site.get("/view/RUN/plate?phenotype=nc_log2_aggregate").text
    squares = re.findall(
        r'<a class="(value|nothing)" href="([^"]+)"[^>]*aria-label="([^"]+)"', page
    )
    assert len(squares) == 7
    assert all(s[1].startswith(f"/view/{site.run}/wells/") for s in squares)
    assert {s[0] for s in squares if "C04" in s[1]} == {"nothing"}
    assert f"/runs/{site.run}/charts/plate?phenotype=nc_log2_aggregate&amp;format=svg" in page


def test_wells_stand_from_the_lowest(site):
    page = site.get("/view/RUN/plate?phenotype=live_density&order=low").text
    table = page[page.index("<tbody>") :]
    values = [float(v) for v in re.findall(r'<td class="n">([\d.]+)</td><td><span', table)]
    assert len(values) == 6
    assert values == sorted(values)


def test_the_lowest_and_highest_wells_stand_above_the_plate(site):
    wells = [w for w in site.get("/runs/RUN/wells").json() if w["live_density"] is not None]
    ranked = [w["well"] for w in sorted(wells, key=lambda w: w["live_density"])]
    page = site.get("/view/RUN/plate?phenotype=live_density").text
    ends = page[page.index("Lowest:") : page.index('<div class="plate"')]
    named = re.findall(r"/wells/(\w+)\"", ends)
    assert {named[0], named[3]} == {ranked[0], ranked[-1]}
    assert len(set(named)) == 6


def test_a_phenotype_without_a_number_is_refused(site):
    answer = site.get("/view/RUN/plate?phenotype=none_such")
    assert answer.status_code == 404
    assert "live_density" in answer.text


def test_a_plate_s_controls_and_checks_are_shown_with_their_reason(site):
    page = site.get("/view/RUN/quality").text
    assert tag("too_few_control_wells") in page
    assert tag("not_assessable") in page
    # Each of its two tables with the call that gives it.
    for call in (f"/runs/{site.run}/tables/quality", f"/runs/{site.run}/checks?order=finding"):
        assert f'<a href="{call}">JSON (API)</a>' in page
        assert site.get(call).status_code == 200


def test_plates_stand_beside_each_other(site):
    page = site.get("/quality").text
    assert f'href="/view/{site.run}/quality"' in page
    assert [a in page for a in ("Edge effect", "Row trend", "Acquisition drift")] == [True] * 3
    for table in ("tables/quality", "checks"):
        address = f"/runs/{site.run}/{table}?format=csv"
        assert f'href="{address}"' in page
        assert site.get(address).status_code == 200
    assert site.get("/quality?phenotype=nc_log2_aggregate").status_code == 200


def test_a_plate_that_was_analysed_again_stands_once_where_it_was_submitted_first(served):
    other = 64 * "1"
    with Session(database_engine(served.settings.url)) as session:
        run = session.get_one(RunRow, served.run)
        plate = session.get_one(PlateRow, run.plate_id)
        later = {"id": "other", "created_at": plate.created_at + timedelta(minutes=1)}
        session.add(PlateRow(**plate.model_dump() | later))
        session.flush()
        for name, of, hours in (("0" * 64, plate.id, 2), (other, "other", 1)):
            more = {"id": name, "plate_id": of}
            at = {"submitted_at": run.submitted_at - timedelta(hours=hours)}
            session.add(RunRow(**run.model_dump() | more | at))
        session.commit()
    shutil.copytree(served.folder, served.settings.run_root(other))
    page = served.get("/quality").text
    assert re.findall(r'href="/view/(\w+)/quality"', page) == [other, served.run]
