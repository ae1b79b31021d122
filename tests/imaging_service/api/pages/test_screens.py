from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from imaging_service.database.tables import RunRow, ScreenRow
from imaging_service.database.tenants import LOCAL_PROJECT
from imaging_service.screens.folder import add_run, fit, set_registry
from tests.imaging_service.screened import screened_service
from tests.imaging_service.written_runs import REGISTRY, four_runs
from tests.messages import states


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
    row = f'{LOCAL_PROJECT}">als</a></td><td>{LOCAL_PROJECT}</td><td>put together by command</td>'
    assert row in page


def test_a_screen_shows_hits_charts_and_its_plates(screened):
    page = screened.get("/screens/als").text
    assert page.count('<script type="application/json">') == 2
    assert page.count("Plate-") == 2
    assert page.count('<tr class="ok">') > 4


def test_an_effect_has_its_unit_and_dose_and_a_row_its_ec50_or_why_it_has_none(screened):
    page = screened.get("/screens/als?phenotype=live_density").text
    table = page[page.index('id="table"') :]
    assert re.search(r'<td class="n">-?[0-9.]+ log2 ratio<br><span class="soft">', table)
    assert re.search(r'<span class="soft">at [0-9.]+ [µn]M</span>', table)
    assert re.search(r'–</span><br><span class="soft">[A-Za-z0-9 ]+</span></td>', table)
    assert '<a href="/screens">Screens</a> › Screen' in page


def test_filters_are_those_of_the_table(screened):
    chosen = "line=S1&phenotype=live_density"
    assert [line for line, _ in rows_of(screened.get(f"/screens/als?{chosen}").text)] == ["S1"]
    csv = screened.get(f"/screens/als/tables/responses.csv?{chosen}")
    assert csv.text.count("\n") == 2
    parquet = screened.get("/screens/als/tables/windows.parquet")
    assert parquet.content[:4] == b"PAR1"


def rows_of(page):
    """(line, compound) of the rows of the table."""
    table = page[page.index('aria-label="Rows"') :].split("</table>")[0]
    return re.findall(r'#table">([^<]+)</a></td><td><a [^>]+>([^<]+)</a>', table)


def test_the_table_is_paged_in_order_and_downloaded_as_it_is_seen(screened, monkeypatch):
    monkeypatch.setattr("imaging_service.web.pages.screens.PER_PAGE", 3)
    address, seen = "/screens/als?order=highest+effect", []
    while address:
        page = screened.get(address).text
        seen += rows_of(page)
        step = re.search(r'<a rel="next" href="([^"]+)#table"', page)
        address = "/screens/als" + step[1].replace("&amp;", "&") if step else ""
    csv = re.search(r'href="(/screens/als/tables/responses[.]csv[^"]+)"', page)[1]
    rows = screened.get(csv.replace("&amp;", "&")).text.lstrip("\ufeff").splitlines()
    columns = rows[0].split(",")
    names = [columns.index(name) for name in ("line", "compound", "effect")]
    downloaded = [[row.split(",")[i] for i in names] for row in rows[1:]]
    assert [tuple(row[:2]) for row in downloaded] == seen
    effects = [float(row[2]) for row in downloaded if row[2]]
    assert effects == sorted(effects, reverse=True)
    assert len(effects) > 3


def test_filters_that_fit_no_row_lead_back(screened):
    page = screened.get("/screens/als?line=S1&status=none").text
    assert f'<a href="?project={LOCAL_PROJECT}#table">Show all rows</a>' in page


def test_hits_are_a_filter(screened):
    both = [screened.get(f"/screens/als?hit={hit}").text for hit in ("yes", "no", "")]
    few, more, every = (int(re.search("<p>([0-9]+) rows?", p)[1]) for p in both)
    assert few + more == every
    assert screened.get("/screens/als?hit=maybe").status_code == 422


def test_a_row_whose_plates_are_not_the_caller_s_says_so(screened):
    page = screened.get("/screens/als?line=S1&compound=drug&phenotype=live_density").text
    assert states("pages.not_your_plates", page)


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


class TestOrdered:
    """Screens that a worker builds; `screened` is here a service of three finished runs."""

    @pytest.fixture
    def service(self, data_folder, three_written, monkeypatch):
        return screened_service(data_folder, three_written, monkeypatch)

    def order(self, service, runs, name="ALS"):
        return service.ask("POST", "/screens/order", data={"name": name, "run": runs})

    def test_a_form_orders_a_screen_of_the_runs_that_were_ticked(self, service):
        page = service.get("/screens").text
        assert page.count('type="checkbox" name="run"') == 3
        answer = self.order(service, service.runs[:2])
        assert answer.status_code == 303
        place = answer.headers["location"]
        page = service.get(place).text
        assert states("order.progress", page, gathered=0, plates=2)
        assert 'hx-get="/screens/' in page
        screen = place.partition("?")[0].removeprefix("/screens/")
        assert "HX-Refresh" not in service.get(f"/screens/{screen}/progress").headers
        service.work(screen)
        assert service.get(f"/screens/{screen}/progress").headers["HX-Refresh"] == "true"
        page = service.get(place).text
        assert page.count("Plate-") == 2
        assert f'href="/projects/{LOCAL_PROJECT}/screens/{screen}"' in page
        row = f'{screen}?project={LOCAL_PROJECT}">ALS</a>'
        assert row in service.get("/screens").text
        csv = service.get(f"/screens/{screen}/tables/responses.csv?line=S1").text
        assert csv.count("\n") == 3

    def test_a_screen_that_failed_shows_why_and_what_to_do(self, service):
        screen = self.order(service, service.runs[:1]).headers["location"].split("/")[-1]
        with service.session() as session:
            session.exec(sa.update(ScreenRow).values(state="failed", reason="1<was>removed"))
            session.commit()
        page = service.get(f"/screens/{screen}").text
        assert page.count("1&lt;was&gt;removed") == 1
        assert 'href="/screens"' in page.split('class="notice bad"')[1]

    def test_tables_of_an_ordered_screen_outlive_the_version_that_fitted_them(
        self, service, monkeypatch
    ):
        screen = self.order(service, service.runs[:2]).headers["location"].split("/")[-1]
        service.work(screen.partition("?")[0])
        monkeypatch.setattr("imaging_service.screens.folder.__version__", "99.0.0")
        assert service.get(f"/screens/{screen}").status_code == 200

    def test_a_screen_whose_plate_was_reviewed_since_says_so(self, service):
        screen = self.order(service, service.runs[:2]).headers["location"].split("/")[-1]
        service.work(screen.partition("?")[0])
        before = service.get(f"/screens/{screen}").text
        name = re.search(rf'<li><a href="/view/{service.runs[0]}">([^<]+)</a>', before)[1]
        assert not states("pages.reviewed_since", before, plate=name)
        with service.session() as session:
            run = session.get_one(RunRow, service.runs[0])
            run.revision, applied = run.revision + 1, run.revision
            session.commit()
            assert states(
                "pages.reviewed_since", service.get(f"/screens/{screen}").text, plate=name
            )
            run.revision = applied
            session.commit()

    @pytest.mark.parametrize(("name", "ticked"), [("ALS", 0), ("", 1)])
    def test_an_order_without_runs_or_name_says_so(self, service, name, ticked):
        answer = self.order(service, service.runs[:ticked], name)
        assert answer.status_code == 422
        assert '<p class="notice' in answer.text

    @pytest.mark.parametrize(
        ("before", "back"),
        [
            ("http://testserver/screens?a=1&b=2", "/screens?a=1&amp;b=2"),
            ("http://testserver//elsewhere.org/x", ""),
            ("nowhere", ""),
        ],
    )
    def test_a_refused_order_leads_back_to_its_form(self, service, before, back):
        form = {"name": "ALS", "run": []}
        answer = service.ask("POST", "/screens/order", data=form, headers={"referer": before})
        links = re.findall('<a href="([^"]*)">Back to', answer.text)
        assert (answer.status_code, links) == (422, [back] if back else [])
