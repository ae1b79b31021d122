from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from imaging_service.access.members import find_project, share
from imaging_service.access.roles import Role
from imaging_service.api.pages import over_runs, screens
from imaging_service.database.tables import RunRow, TableRow
from imaging_service.database.tenants import LOCAL_PROJECT
from imaging_service.screens.folder import add_run, fit
from tests.imaging_service.tenants import FOREIGN_RUN, PLATE, RUN
from tests.messages import states

OF = "line=L1&amp;compound=x&amp;phenotype=live_density"


def test_lines_and_compounds_are_listed_with_their_plates(site):
    for kind, names in (("line", ["L1", "L2"]), ("compound", ["DMSO", "x"])):
        page = site.get(f"/{kind}").text
        assert re.findall(rf'<td class="name"><a href="/{kind}\?name=(\w+)">', page) == names
        assert page.count('<td class="n">1</td><td class="n">1</td>') == len(names)


def test_a_line_leads_to_its_rows_wells_and_plates(site):
    page = site.get("/line?name=L1").text
    assert f'<a href="/view/{site.run}/curve?{OF}">' in page
    assert re.findall(rf'<a href="/view/{site.run}/wells/(\w+)">', page) == [
        "B02",
        "B03",
        "B04",
        "B05",
    ]
    assert f'<a href="/view/{site.run}/line?name=L1">Small-1</a>' in page
    assert f'<td class="name"><a href="/view/{site.run}">Small-1</a>' in page
    assert states("pages.line_counts", page, plates=1, rows=2, responding=1)
    assert '<a href="/line?name=L1&amp;order=evidence&amp;runs=all">show all runs</a>' in page


def test_rows_are_filtered_and_given_as_they_are_seen(site):
    page = site.get("/compound?name=x&phenotype=live_density&line=L1").text
    assert "<p>1 row ·" in page
    csv = re.search(r'href="(/responses[^"]+format=csv)"', page)[1].replace("&amp;", "&")
    assert site.get(csv).text.count("\n") == 2
    nothing = site.get("/compound?name=x&status=none").text
    assert '<a href="/compound?name=x&amp;runs=newest#table">Show all rows</a>' in nothing


def test_effects_over_plates_are_drawn(site):
    page = site.get("/compound?name=x").text
    assert page.count('<script type="application/json">') == 1
    (spec,) = re.findall(r'<script type="application/json">(.*?)</script>', page)
    points = json.loads(spec)["layer"][2]["data"]["values"]
    assert [p["label"] for p in points] == ["L1 · Small-1"]


def test_too_many_rows_ask_for_a_choice(site, monkeypatch):
    monkeypatch.setattr("imaging_service.web.pages.over_runs.MOST_INTERVALS", 0)
    page = site.get("/compound?name=x").text
    assert "application/json" not in page
    assert states("pages.too_many_intervals", page, other="line")


def test_a_control_has_wells_and_no_rows(site):
    page = site.get("/compound?name=DMSO").text
    assert states("pages.no_doses", page)
    assert f'<a href="/view/{site.run}/wells/B02">B02</a>' in page


@pytest.mark.parametrize("kind", ["line", "compound"])
def test_an_unknown_name_is_not_found(site, kind):
    answer = site.get(f"/{kind}?name=none")
    assert answer.status_code == 404
    assert states("pages.names_listed", answer.text, kind=kind)


def test_nothing_yet_says_what_to_do(data_folder):
    from tests.imaging_service.conftest import Served

    empty = Served(data_folder, "", data_folder.data_dir)
    assert '<a href="/submit">Submit a plate</a>, or look' in empty.get("/line").text


def test_screens_that_have_the_compound_are_listed_with_their_hits(site, tmp_path, monkeypatch):
    monkeypatch.setattr(screens, "_root", lambda *_: tmp_path)
    for name in ("als", "new"):
        add_run(tmp_path / name, site.folder)
    # The other was never fitted: its fault stands in the list.
    fit(tmp_path / "als")
    page = site.get("/compound?name=x").text
    listed = page[page.index('aria-label="Screens"') :]
    address = f"/screens/als?project={LOCAL_PROJECT}&amp;compound=x#table"
    row = f'<a href="{address}">als</a></td><td>{LOCAL_PROJECT}</td><td class="n">0</td>'
    assert row in listed
    assert states("screen.not_fitted", listed)
    opened = site.get(address.replace("&amp;", "&").split("#")[0]).text
    one = re.search(r'<a href="(\?[^"]+)">live_density', opened[opened.index('id="table"') :])
    sources = site.get("/screens/als" + one[1].replace("&amp;", "&")).text.split('id="sources"')[1]
    curve = re.search(r'href="(/view/[^"]+)"', sources)[1].replace("&amp;", "&")
    assert site.get(curve).status_code == 200


def wells_of(page):
    return re.findall(r'<a href="/view/(\w+)/wells/(\w+)">', page)


@pytest.fixture
def one_name(two_labs):
    """Line L1 in a run of each laboratory; `als` of laboratory alpha is shared with beta."""
    with two_labs.session() as session:
        share(session, find_project(session, "als"), "beta", Role.VIEWER)
        for run, well in ((RUN, "B02"), (FOREIGN_RUN, "B03")):
            session.get_one(RunRow, run).state = "done"
            content = json.dumps({"well": well})
            session.add(TableRow(run_id=run, kind="wells", position=0, line="L1", content=content))
        session.commit()
    return two_labs


def test_a_line_of_one_laboratory_is_not_put_together_with_that_of_another(one_name):
    named = one_name.ask("other viewer", "GET", "/line").text
    assert re.findall(r'<a href="(/line[^"]+)">L1</a></td><td>(\w+)</td>', named) == [
        ("/line?name=L1&amp;lab=alpha", "alpha"),
        ("/line?name=L1&amp;lab=beta", "beta"),
    ]
    own = one_name.ask("other viewer", "GET", "/line?name=L1").text
    assert wells_of(own) == [(FOREIGN_RUN, "B03")]
    assert states("pages.name_of_two_laboratories", own, lab="beta", runs=1, other="alpha")
    other = one_name.ask("other viewer", "GET", "/line?name=L1&lab=alpha").text
    assert wells_of(other) == [(RUN, "B02")]
    assert not states("pages.own_registry", other)
    assert "/responses?line=L1&amp;lab=alpha" in other
    missing = one_name.ask("other viewer", "GET", "/line?name=L1&lab=gamma")
    assert missing.status_code == 404
    alone = one_name.ask("viewer", "GET", "/line?name=L1").text
    assert wells_of(alone) == [(RUN, "B02")]
    assert not states("pages.names_are_its_own", alone)
    assert states("pages.own_registry", alone)
    assert one_name.ask("viewer", "GET", "/line?name=L1&lab=beta").status_code == 404


def test_a_name_that_no_newest_run_has_leads_to_the_earlier_ones(one_name):
    with one_name.session() as session:
        old = session.get_one(RunRow, RUN)
        more = {"project_id": "als", "plate_id": PLATE, "state": "done"}
        session.add(
            RunRow(
                id="f" * 20,
                protocol_name="x",
                engine="classical",
                n_wells=1,
                n_skipped=0,
                submitted_at=old.submitted_at + timedelta(hours=1),
                **more,
            )
        )
        session.flush()
        content = '{"well":"B02"}'
        session.add(TableRow(run_id="f" * 20, kind="wells", position=0, line="L2", content=content))
        session.commit()
    listed = one_name.ask("viewer", "GET", "/line").text
    assert re.findall(r'<a href="/line\?name=(\w+)">', listed) == ["L1", "L2"]
    page = one_name.ask("viewer", "GET", "/line?name=L1")
    assert page.status_code == 200
    assert wells_of(page.text) == [(RUN, "B02")]
    assert states("pages.only_earlier_runs", page.text, kind="line", of="L1")
    assert "runs=newest" not in page.text


def test_what_is_not_read_is_not_left_out_in_silence(site, monkeypatch):
    monkeypatch.setattr(over_runs, "MOST_ORDERED", 3)
    page = site.get("/line?name=L1").text
    assert len(wells_of(page)) == 3
    assert states("pages.line_counts", page, plates=1, rows=2, responding=1)
    assert states("pages.newest_only", page, most=3)


def test_screens_that_were_not_looked_into_are_counted(site, tmp_path, monkeypatch):
    monkeypatch.setattr(screens, "_root", lambda *_: tmp_path)
    monkeypatch.setattr(screens, "_MOST_SCREENS", 0)
    add_run(tmp_path / "als", site.folder)
    page = site.get("/compound?name=x").text
    assert states("pages.screens_not_read", page, kind="compound", of="x", count="1 is")


def test_a_compound_with_a_systematic_name_has_its_page_and_its_rows(two_labs):
    name = "N-(" + "1H-pyrrolo-" * 100 + "yl)"
    content = json.dumps({"well": "B02", "compound": name})
    with two_labs.session() as session:
        session.get_one(RunRow, RUN).state = "done"
        row = {"run_id": RUN, "position": 0, "compound": name, "content": content}
        session.add(TableRow(kind="wells", **row))
        session.commit()
    (link,) = re.findall(
        r'<a href="(/compound[^"]+)">N-', two_labs.ask("viewer", "GET", "/compound").text
    )
    page = two_labs.ask("viewer", "GET", link)
    assert (page.status_code, wells_of(page.text)) == (200, [(RUN, "B02")])
    rows = two_labs.ask("viewer", "GET", link.replace("/compound?name", "/responses?compound"))
    assert (rows.status_code, rows.json()) == (200, [])
