from __future__ import annotations

import pytest

from imaging_service.database.tenants import LOCAL_PROJECT
from imaging_service.screens.folder import add_run, fit, set_registry
from tests.imaging_service.written_runs import REGISTRY, four_runs


@pytest.fixture(scope="module")
def screened(site, tmp_path_factory):
    """The service with a fitted screen of two plates, and one that was never fitted."""
    root = tmp_path_factory.mktemp("runs")
    screens = site.settings.project_root(LOCAL_PROJECT) / "screens"
    lines = root / "lines.tsv"
    lines.write_text(REGISTRY, encoding="utf-8")
    runs = four_runs(root)[:2]
    for run in runs:
        add_run(screens / "als", run)
    set_registry(screens / "als", lines, None)
    fit(screens / "als")
    add_run(screens / "new", runs[0])
    return site


def test_every_screen_is_listed_with_its_plates(screened):
    page = screened.get("/screens").text
    row = f'{LOCAL_PROJECT}">als</a></td><td>{LOCAL_PROJECT}</td><td class="n">2</td>'
    assert row in page


def test_a_screen_shows_hits_charts_and_its_plates(screened):
    page = screened.get("/screens/als").text
    assert page.count('<script type="application/json">') == 2
    assert page.count("Plate-") == 2
    assert page.count('<tr class="ok">') > 4


def test_filters_are_those_of_the_table(screened):
    chosen = "line=S1&phenotype=live_density"
    assert "S2" not in screened.get(f"/screens/als?{chosen}").text.split('id="table"')[1]
    csv = screened.get(f"/screens/als/tables/responses.csv?{chosen}")
    assert csv.text.count("\n") == 2
    parquet = screened.get("/screens/als/tables/windows.parquet")
    assert parquet.content[:4] == b"PAR1"


def test_one_compound_has_its_forest(screened):
    page = screened.get("/screens/als?compound=drug&phenotype=live_density").text
    assert page.count('<script type="application/json">') in (2, 3)


def test_a_screen_that_was_not_fitted_says_what_to_do(screened):
    answer = screened.get("/screens/new")
    assert (answer.status_code, answer.headers["content-type"]) == (
        422,
        "text/html; charset=utf-8",
    )
    assert "fit" in answer.text


@pytest.mark.parametrize(
    "path",
    ["none", "none/report", "new/report", "als/tables/cells.csv", "als/tables/windows.exe"],
)
def test_what_a_screen_has_not_is_not_found(screened, path):
    assert screened.get(f"/screens/{path}").status_code == 404


def test_a_report_runs_apart_from_the_service(screened):
    answer = screened.get("/screens/als/report")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("sandbox")
