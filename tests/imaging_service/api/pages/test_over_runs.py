from __future__ import annotations

import json
import re

import pytest

from imaging_service.api.pages import screens
from imaging_service.database.tenants import LOCAL_PROJECT
from imaging_service.screens.folder import add_run, fit
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
