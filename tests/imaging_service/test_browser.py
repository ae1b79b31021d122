"""Every page in a browser: no error, no breach of its policy, clean to axe-core, on two screens."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from imaging_service.database.session import database_engine
from imaging_service.database.tables import RunRow
from tests.imaging_service.browser_pages import DESK, PHONE, Tab, browsing, serving
from tests.imaging_service.conftest import Served
from tests.messages import states
from tests.service import free_port

OF = "line=L1&compound=x&phenotype=live_density"
PAGES = (
    "/",
    "/docs",
    "/models",
    "/quality",
    "/screens",
    "/submit",
    "/line",
    "/line?name=L1",
    "/compound?name=x",
    "/view/RUN",
    "/view/RUN/plate",
    "/view/RUN/quality",
    "/view/RUN/responses",
    f"/view/RUN/curve?{OF}",
    "/view/RUN/line?name=L1",
    "/view/RUN/compound?name=x",
    "/view/RUN/wells/B04",
    "/view/RUN/review",
)
# A look that the others share.
DARK = ("/view/RUN", "/view/RUN/wells/B04", f"/view/RUN/curve?{OF}", "/view/RUN/responses")


@pytest.fixture(scope="module")
def browser(site):
    """One browser for the module, started after the site: the site's requests need their own loop."""
    with browsing() as made:
        yield made


@pytest.fixture(scope="module")
def opened(browser, site):
    """(open a tab, the site)."""
    with serving(site.application) as address:
        yield lambda **more: Tab(browser, address, **more), site


def settled(tab, path) -> None:
    tab.page.goto(path)
    for chart in tab.page.locator("figure.chart").all():
        chart.locator("svg").first.wait_for()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("viewport", "scheme", "pages"),
    [
        (DESK, "light", PAGES),
        (PHONE, "light", PAGES),
        (DESK, "dark", DARK),
    ],
    ids=["desk", "phone", "dark"],
)
def test_pages_keep_their_policy_and_are_clean_to_axe(opened, viewport, scheme, pages):
    open_tab, site = opened
    tab = open_tab(viewport=viewport, scheme=scheme)
    wrong = {}
    for path in pages:
        settled(tab, path.replace("RUN", site.run))
        wide = tab.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        # What axe sees hardly depends on the screen, and takes most of the time.
        seen = tab.violations() if viewport is DESK or path in DARK else []
        faults = [*tab.faults, *seen, *(["wider than the screen"] if wide > 1 else [])]
        if faults:
            wrong[path] = faults
        tab.faults.clear()
    tab.close()
    assert wrong == {}


def test_from_a_number_to_its_pixels_and_back(opened):
    """A response's row ► its curve ► a well: two clicks, and the pixels are there."""
    open_tab, site = opened
    tab = open_tab()
    page = tab.page
    page.goto(f"/view/{site.run}/responses")
    page.locator('#table tr.ok a[href*="/curve"]').first.click()
    page.locator('td a[href*="/wells/B04"]').click()
    page.locator('#viewer[data-drawn="yes"]').wait_for()
    assert page.url.endswith("/wells/B04")
    page.get_by_role("link", name="Row of live_density").click()
    assert OF in page.url
    # A point of the curve leads to its well as well.
    page.locator("figure.chart svg g.role-mark.layer_2_marks path").first.click()
    page.wait_for_url("**/wells/*")
    assert tab.faults == []
    tab.close()


@pytest.mark.slow
def test_five_things_are_found_in_three_clicks_from_the_list_of_runs(opened):
    """Ways of docs/pages.md: each is a list of what is clicked, and where it ends."""
    open_tab, site = opened
    tab = open_tab()
    page = tab.page
    run, tabs = page.locator("tbody a").first, page.get_by_role("navigation", name="Pages of")
    wells = site.run + "/wells/"
    ways = {
        wells: [tabs.get_by_role("link", name="Plate"), page.locator("p:has-text('Lowest:') a")],
        wells + "B04": [page.locator("#findings li a"), page.locator("a:text('well B04')")],
        "/responses": [tabs.get_by_role("link", name="Responses")],
        "/review": [tabs.get_by_role("link", name="Review")],
        "/line?name=L1": [page.locator(".legend a")],
    }
    for end, clicks in ways.items():
        page.goto("/")
        for link in [run, *clicks]:
            link.first.click()
        page.wait_for_url(f"**{end}*")
        # Pixels that are still on their way when a page is left would be faults.
        page.wait_for_load_state("networkidle")
    with page.expect_download() as download:
        page.get_by_role("link", name="responses CSV").click()
    rows = download.value.path().read_text(encoding="utf-8-sig").splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == ["L1", "L1"]
    assert tab.faults == []
    tab.close()


def test_outlines_and_channels_are_switched_and_a_cell_gives_its_row(opened):
    open_tab, site = opened
    tab = open_tab()
    page = tab.page
    with page.expect_response("**/nuclei/0/0/0.png*"):
        page.goto(f"/view/{site.run}/wells/B04")
    with page.expect_response("**/neurites/0/0/0.png*"):
        page.get_by_label("neurites").check()
    shown = "window.fieldViewer.world.getItemCount()"
    tab.until(shown, 4)
    with page.expect_response("**/pixels/0/0/0.png*channels=0,1"):
        page.get_by_label("aggregate (3)").uncheck()
    cells = tab.context.request.get(f"/runs/{site.run}/cells?well=B04&field=1")
    place = cells.json()[0]
    point = page.evaluate(
        "([x, y]) => { const p = fieldViewer.world.getItemAt(0).imageToViewerElementCoordinates("
        "new OpenSeadragon.Point(x, y)); return [p.x, p.y]; }",
        [place["x_um"] / 0.65, place["y_um"] / 0.65],
    )
    page.locator("#viewer").click(position={"x": point[0], "y": point[1]})
    page.locator("#cell strong").wait_for()
    assert page.locator("#cell strong").inner_text() == f"Cell {place['label']}"
    assert tab.faults == []
    tab.close()


@pytest.mark.slow
def test_a_wheel_over_the_pixels_scrolls_the_page_and_zooms_with_ctrl(opened):
    open_tab, site = opened
    tab = open_tab()
    page = tab.page
    page.goto(f"/view/{site.run}/wells/B04")
    page.locator('#viewer[data-drawn="yes"]').wait_for()
    page.wait_for_load_state("networkidle")
    zoom = (
        "window.fieldViewer.viewport.getZoom() > 1.01 * window.fieldViewer.viewport.getHomeZoom()"
    )
    hint = page.locator("#wheel-hint")
    page.locator("#viewer").hover()
    scrolled = page.evaluate("scrollY")
    assert not hint.is_visible()
    # Turns that follow each other fast are the page's as well.
    for _ in range(4):
        page.mouse.wheel(0, 20)
    tab.until(f"scrollY - {scrolled}", 80)
    assert hint.is_visible()
    assert not page.evaluate(zoom)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    tab.until(zoom, True)
    page.keyboard.up("Control")
    assert not hint.is_visible()
    assert page.evaluate(f"scrollY - {scrolled}") == 80
    page.wait_for_load_state("networkidle")
    assert tab.faults == []
    tab.close()


@pytest.mark.slow
def test_what_the_protocol_states_is_not_asked_for_any_more(opened, small_inputs, tmp_path):
    open_tab, _ = opened
    tab = open_tab()
    page = tab.page
    page.goto(f"/submit/scan?{urlencode({'scan': str(small_inputs.scan)})}")
    needs, protocol = page.locator("#needs"), page.locator("#protocol")
    needs.wait_for()
    assert page.locator("[data-need]:visible").count() == 1
    begun = protocol.input_value()
    # A comment, or a channel without a role that an engine can start from, states nothing.
    protocol.fill('[channels]\n# dna = "1"\ndeath = "3"\n[acquisition]\ndna = "1"\n')
    assert needs.is_visible()
    protocol.fill('[channels]\ndna = "1"\n')
    needs.wait_for(state="hidden")
    protocol.fill(begun)
    needs.wait_for()
    # So too where the protocol is taken from a file.
    kept = tmp_path / "protocol.toml"
    kept.write_text('[channels]\nneurite = "2"\n')
    page.locator("#protocol-file").set_input_files(kept)
    needs.wait_for(state="hidden")
    assert tab.faults == []
    tab.close()


@pytest.mark.slow
def test_what_does_not_come_is_said(opened):
    """Tiles, a cell's row and a chart, each where the service or the drawing fails."""
    open_tab, site = opened
    tab = open_tab()
    page = tab.page
    page.route("**/nuclei/0/0/0.png*", lambda route: route.fulfill(status=503))
    page.route("**/cell?*", lambda route: route.abort())
    page.goto(f"/view/{site.run}/wells/B04")
    page.locator('#viewer[data-drawn="yes"]').wait_for()
    page.locator("#viewer-fault").wait_for(state="visible")
    page.locator("#viewer").click(position={"x": 40, "y": 40})
    said = page.locator("#cell .notice.bad").inner_text()
    assert states("pages.no_service", said)
    page.route("**/vega-lite.min.js*", lambda route: route.fulfill(body="vegaLite = {};"))
    page.reload()
    assert states("pages.no_chart", page.locator("figure.chart .notice").first.inner_text())
    tab.close()


@pytest.mark.slow
def test_progress_that_does_not_come_says_so_and_goes_on_by_itself(browser, served):
    """The server is away, answers 503, or does not answer at all; then it is back."""

    def state(**values):
        with Session(database_engine(served.settings.url)) as session:
            session.exec(sa.update(RunRow).values(**values))
            session.commit()

    port = free_port()
    with serving(served.application, port) as address:
        state(state="running", n_wells=9)
        tab = Tab(browser, address)
        page, said = tab.page, tab.page.locator("#progress .amiss")
        page.goto(f"/view/{served.run}")
        assert states("pages.wells_left", page.locator("#progress").inner_text(), left=3)
    said.wait_for()
    assert states("pages.progress_away", said.inner_text())
    assert tab.violations() == []
    state(n_wells=8)
    with serving(served.application, port):
        said.wait_for(state="detached")
        assert states("pages.wells_left", page.locator("#progress").inner_text(), left=2)
        page.route("**/progress", lambda route: route.fulfill(status=503))
        said.wait_for()
        assert states("pages.progress_refused", said.inner_text())
        page.unroute("**/progress")
        said.wait_for(state="detached")
        # A service that takes a request and never answers it.
        page.route("**/progress", lambda route: None)
        page.locator("#progress").evaluate(
            "p => p.setAttribute('hx-request', '{\"timeout\": 200}')"
        )
        said.wait_for()
        assert states("pages.progress_away", said.inner_text())
        page.unroute("**/progress")
        page.locator("#progress").evaluate("p => p.removeAttribute('hx-request')")
        said.wait_for(state="detached")
        state(state="done")
        page.get_by_role("link", name="Report (one file)").wait_for()
        tab.close()


def test_a_submission_without_a_service_is_said(opened, small_inputs):
    open_tab, _ = opened
    tab = open_tab()
    page = tab.page
    page.goto(f"/submit/scan?scan={small_inputs.scan}")
    page.get_by_role("button", name="Check and draw").click()
    assert states("pages.no_plate_map", page.locator("#map .notice").inner_text())
    page.route("**/submit/map*", lambda route: route.abort())
    page.locator("#plate-map").set_input_files(small_inputs.scan.parent / "map.csv")
    page.get_by_role("button", name="Check and draw").click()
    page.locator("#map .notice", has_text="does not answer").wait_for()
    assert page.locator("#submit").is_disabled()
    tab.close()


def test_a_plate_is_walked_with_arrows(opened):
    open_tab, site = opened
    tab = open_tab()
    page = tab.page
    page.goto(f"/view/{site.run}/plate")
    first = page.locator(".plate a[tabindex='0']").first
    first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label.startswith("C03:")
    page.keyboard.press("Enter")
    page.wait_for_url("**/wells/C03")
    assert tab.faults == []
    tab.close()


@pytest.mark.slow
def test_the_table_that_is_seen_is_downloaded(opened):
    open_tab, site = opened
    tab = open_tab()
    page = tab.page
    page.goto(f"/view/{site.run}/responses")
    page.locator("#table select[name=line]").select_option("L1")
    page.wait_for_url("**line=L1**")
    with page.expect_download() as download:
        page.locator("#table").get_by_role("link", name="CSV").click()
    rows = download.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert len(rows) == 3
    assert all(row.startswith("L1,") for row in rows[1:])
    tab.close()


@pytest.mark.slow
def test_a_choice_that_is_passed_through_by_keyboard_waits_for_its_button(opened):
    open_tab, site = opened
    tab = open_tab()
    page = tab.page
    page.goto(f"/view/{site.run}/responses")
    choice = page.locator("#table select[name=line]")
    choice.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(300)
    assert "line=" not in page.url
    assert choice.input_value() == "L1"
    page.get_by_role("button", name="Filter").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**line=L1**")
    assert tab.faults == []
    tab.close()


@pytest.mark.slow
def test_a_report_draws_its_charts_apart_from_the_service(opened):
    """Its scripts run, and the cookie of the one who looks at it is not theirs."""
    open_tab, site = opened
    tab = open_tab()
    tab.page.goto(f"/runs/{site.run}/report")
    tab.page.locator("#heatmap-0 svg.marks").wait_for()
    assert tab.page.evaluate("self.origin") == "null"
    assert [f for f in tab.faults if not f.startswith("warning")] == []
    tab.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1300, 390])
def test_a_report_s_wide_tables_scroll_in_their_own_box(opened, width):
    """No table is cut off, whatever it holds; the row's name stays while its numbers pass."""
    open_tab, site = opened
    tab = open_tab(viewport={"width": width, "height": 900})
    page = tab.page
    page.goto(f"/runs/{site.run}/report")
    page.add_style_tag(content="td { min-width: 20rem; }")
    boxes = page.evaluate(
        """[...document.querySelectorAll("table")].map((table) => {
          const box = table.closest(".scroll"), row = table.querySelector("tbody tr");
          if (!box || !row) return ["no box", table.innerText.slice(0, 40)];
          const inside = box.getBoundingClientRect().right <= document.documentElement.clientWidth;
          box.scrollLeft = 300;
          const kept = row.cells[0].getBoundingClientRect().left - box.getBoundingClientRect().left;
          return [inside, box.tabIndex, box.scrollLeft > 0 ? Math.round(kept) : 0];
        })"""
    )
    assert boxes == [[True, 0, 0]] * len(boxes)
    assert len(boxes) >= 5
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    tab.close()


@pytest.mark.slow
def test_a_printed_report_fits_its_page_and_breaks_no_number(opened):
    open_tab, site = opened
    tab = open_tab(viewport={"width": 703, "height": 1016})  # A4 within its margins
    page = tab.page
    page.goto(f"/runs/{site.run}/report")
    page.locator("#curve-0 svg.marks").wait_for()
    page.emulate_media(media="print")
    wide, broken, curves = page.evaluate(
        """() => {
            const all = (chosen) => [...document.querySelectorAll(chosen)];
            const box = (e) => e.getBoundingClientRect();
            return [
                all("table, svg, img").filter((e) => box(e).right > innerWidth).length,
                all("td.n").filter((e) => getComputedStyle(e).overflowWrap !== "normal").length,
                all("#curves figure.chart").filter((e) => 2 * box(e).width > innerWidth).length,
            ];
        }"""
    )
    assert (wide, broken, curves) == (0, 0, 0)
    tab.close()


@pytest.mark.slow
def test_a_phone_shows_each_reason_without_scrolling_sideways(opened):
    """A wide table's rows stand as lists there, each entry under the name of its column."""
    open_tab, site = opened
    tab = open_tab(viewport=PHONE)
    page = tab.page
    for path in ("responses", "plate", "quality", "review", "line?name=L1"):
        page.goto(f"/view/{site.run}/{path}")
        reasons = page.locator("td.why")
        assert reasons.count() > 0
        outside = page.evaluate(
            """[...document.querySelectorAll("td.why")].filter((cell) => {
              const words = document.createRange();
              words.selectNodeContents(cell);
              return words.getBoundingClientRect().right > innerWidth;
            }).length"""
        )
        assert outside == 0, path
    page.goto(f"/view/{site.run}/responses")
    named = page.evaluate(
        """[...document.querySelectorAll("#table tbody tr:first-child td")].map(
          (cell) => getComputedStyle(cell, "::before").content
        )"""
    )
    assert named[:4] == ['"Line"', '"Compound"', '"Phenotype"', '"Status and reason"']
    # An entry of several rows or columns moves those after it.
    spread = page.evaluate(
        """() => {
          const table = document.createElement("table");
          table.innerHTML = "<thead><tr><th>A<th>B<th>C<th>D</thead><tbody>"
            + "<tr><td rowspan=2>a<td>b<td>c<td rowspan=2>d<tr><td colspan=2>b"
            + "<tr><td>a<td>b<td>c<td>d</tbody>";
          document.body.append(table);
          label(table);
          return [...table.querySelectorAll("td")].map((e) => e.dataset.column).join("");
        }"""
    )
    assert spread == "ABCD" + "B" + "ABCD"
    assert tab.faults == []
    tab.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_plate_wider_than_the_screen_has_a_shade_and_dark_squares_have_an_edge(opened, scheme):
    open_tab, site = opened
    tab = open_tab(viewport=PHONE, scheme=scheme)
    page = tab.page
    page.goto(f"/view/{site.run}/plate")
    shades, edge, square, paper, hidden = page.evaluate(
        """() => {
          const plate = document.querySelector(".plate");
          const style = (chosen, name) => getComputedStyle(document.querySelector(chosen))[name];
          return [
            style(".plate", "backgroundAttachment"),
            style(".plate .value rect", "stroke"),
            style(".plate .value rect", "fill"),
            style("section", "backgroundColor"),
            plate.scrollWidth > plate.clientWidth,
          ];
        }"""
    )
    # Two covers go with what is scrolled, the two shades below them stay at the edges.
    assert (hidden, shades) == (True, "local, local, scroll, scroll")
    # In the light the squares are told apart by paper between them, in the dark by a pale edge.
    assert (edge == paper) is (scheme == "light")
    assert edge != square
    tab.close()


@pytest.mark.slow
def test_a_printed_page_begins_its_plate_and_charts_where_there_is_room(opened):
    """A section goes on on the next page; its plate, a figure and a row are not cut."""
    open_tab, site = opened
    tab = open_tab(viewport={"width": 718, "height": 1047})  # A4 within its margins
    page = tab.page
    page.emulate_media(media="print")
    for path in ("", "/plate", "/quality", "/wells/B04"):
        page.goto(f"/view/{site.run}{path}")
        kept = page.evaluate(
            """["section", ".plate", "figure", "tr"].map((chosen) => new Set(
              [...document.querySelectorAll(chosen)].map((e) => getComputedStyle(e).breakInside)
            )).map((seen) => [...seen].join())"""
        )
        assert kept[0] == "auto", path
        assert set(kept[1:]) <= {"avoid", ""}, path
    # The plate of a run is on its first page.
    page.goto(f"/view/{site.run}")
    assert page.locator(".plate").first.bounding_box()["y"] < 1047
    tab.close()


@pytest.mark.slow
def test_a_folder_is_uploaded_once_whether_it_is_chosen_or_dragged(
    browser, data_folder, small_inputs, tmp_path
):
    scan = Path(small_inputs.scan)
    with serving(Served(data_folder, "", tmp_path).application) as address:
        tab = Tab(browser, address)
        page = tab.page
        sent = []
        page.on("request", lambda r: r.method == "PUT" and sent.append(r.url))
        page.goto("/submit")
        page.locator("#folder").set_input_files(scan)
        # The page goes on by itself to what the scan holds.
        page.wait_for_url("**/submit/scan?**")
        page.locator(".plate g.whole").first.wait_for()
        assert len(sent) == len({path.read_bytes() for path in scan.iterdir()})
        sent.clear()
        page.goto("/submit")
        tab.drop("#drop", scan)
        page.wait_for_url("**/submit/scan?**")
        assert (sent, tab.faults) == ([], [])
        tab.close()
    kept = data_folder.data_dir / "scans" / scan.name
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {
        path.name: path.read_bytes() for path in scan.iterdir()
    }
