from __future__ import annotations

import json
import re

import pytest
from sqlmodel import Session

from imaging_service.access.roles import Caller
from imaging_service.api.pages.reading import Reading
from imaging_service.api.pages.responses import _registered
from imaging_service.database.session import database_engine
from imaging_service.database.tables import DonorRow, LineRow, TableRow
from imaging_service.database.tenants import LOCAL_LAB
from imaging_service.web.templating import tag
from phenotypes.columns.dictionary import columns

BASE = "/view/RUN"
OF = "line=L1&compound=x&phenotype=live_density"


def specifications(page):
    return [
        json.loads(s) for s in re.findall(r'<script type="application/json">(.*?)</script>', page)
    ]


def rows(page):
    table = page[page.rindex('aria-label="Responses"') :]
    return re.findall(r'<tr class="(\w+)"><td class="name"><a [^>]+>([^<]+)', table)


def test_the_table_is_filtered_as_the_api_is(site):
    query = "phenotype=live_density&status=ok"
    page = site.get(f"{BASE}/responses?{query}").text
    assert rows(page) == [("ok", "L1")]
    api = re.search(r'href="(/runs/[^"]+/responses\?[^"]+)">JSON', page)[1].replace("&amp;", "&")
    assert [r["line"] for r in site.get(api).json()] == ["L1"]
    csv = re.search(r'href="(/runs/[^"]+format=csv)"', page)[1].replace("&amp;", "&")
    assert site.get(csv).text.count("\n") == 2


def test_the_strongest_evidence_comes_first(site):
    assert rows(site.get(f"{BASE}/responses").text)[0] == ("ok", "L1")
    assert len(rows(site.get(f"{BASE}/responses").text)) == 4


def test_a_square_of_the_matrix_leads_to_its_curve(site):
    page = site.get(f"{BASE}/responses").text
    data = specifications(page)[0]["data"]["values"]
    links = [d["page"] for d in data if d["line"] == "L1"]
    assert links == [f"/view/{site.run}/curve?{OF}"]
    assert site.get(links[0]).status_code == 200


def test_filters_that_fit_nothing_say_so(site):
    page = site.get(f"{BASE}/responses?line=none")
    assert page.status_code == 200
    assert f'href="/view/{site.run}/responses"' in page.text


def test_a_row_leads_to_its_wells_within_three_clicks(site):
    page = site.get(f"{BASE}/curve?{OF}").text
    wells = re.findall(rf'<td><a href="/view/{site.run}/wells/(\w+)">', page)
    assert wells == ["B02", "B03", "B04", "B05"]
    furthest = f'href="/view/{site.run}/wells/B04">well B04</a> at 1 µM, 5 % of vehicle below'
    assert furthest in page
    assert [len(s["layer"]) for s in specifications(page)] == [5, 5, 3]


def test_a_row_without_a_curve_says_why(site):
    row = next(r for r in site.get("/runs/RUN/responses?line=L2").json())
    page = site.get(f"{BASE}/curve?line=L2&compound=x&phenotype=live_density").text
    assert f"{tag(row['status'])} {row['reason']}" in page


@pytest.mark.parametrize(
    "path", ["curve?line=L9&compound=x&phenotype=live_density", "line?name=L9", "compound?name=y"]
)
def test_a_name_that_the_plate_has_not_is_not_found(site, path):
    assert site.get(f"{BASE}/{path}").status_code == 404


def test_a_line_that_is_not_registered_is_said(site):
    page = site.get(f"{BASE}/line?name=L1").text
    assert "put_lines_lines_put" in page
    assert rows(page)[0] == ("ok", "L1")


def test_a_registered_line_shows_its_record(served):
    sheet = b"line\tdonor\tgene\tisogenic_parent\nL1\tD1\tSOD1\t\n"
    headers = {"content-type": "text/tab-separated-values"}
    assert served.ask("PUT", "/lines", content=sheet, headers=headers).status_code == 200
    page = served.get(f"{BASE}/line?name=L1").text
    assert "<dt>donor</dt><dd>D1</dd>" in page


def test_a_line_s_record_is_for_its_own_laboratory(site):
    with Session(database_engine(site.settings.url)) as session:
        reading = Reading(site.run, session, site.settings)
        session.add(DonorRow(id="D9"))
        session.flush()
        session.add(LineRow(line="L9", donor="D9", content='{"donor": "D9"}'))
        session.flush()
        seen = {
            lab: _registered(session, reading, Caller("m", "n", lab, everywhere=everywhere), "L9")
            for lab, everywhere in (("beta", False), (LOCAL_LAB, False), ("core", True))
        }
        session.rollback()
    assert seen == {"beta": {}, LOCAL_LAB: {"donor": "D9"}, "core": {"donor": "D9"}}


def test_survival_is_shown_with_its_interval_and_both_ends_of_what_was_lost(served):
    hazard = dict.fromkeys(columns("hazard")) | {
        "line": "L1",
        "compound": "x",
        "dose_molar": 1e-6,
        "status": "one_batch",
        "reason": "",
        "hazard_ratio": 2.5,
        "hr_low": 1.25,
        "hr_high": 5.0,
        "hr_lost_died": 3.5,
        "hr_lost_lived": 1.75,
    }
    with Session(database_engine(served.settings.url)) as session:
        session.add(
            TableRow(
                run_id=served.run, kind="hazards", position=0, content=json.dumps(hazard), line="L1"
            )
        )
        session.commit()
    page = served.get(f"{BASE}/responses?line=L1").text
    survival = page[page.index('id="survival"') :]
    assert all(n in survival for n in ("2.5", "1.25 … 5", "3.5, 1.75", "one_batch"))
    assert 'id="survival"' not in served.get(f"{BASE}/responses?line=L2").text


def test_a_compound_shows_all_its_lines(site):
    page = site.get(f"{BASE}/compound?name=x").text
    assert {line for _, line in rows(page)} == {"L1", "L2"}
