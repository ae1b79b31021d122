"""A time-lapse plate in a browser: its time points, its deaths, survival with its interval."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from segmentation.phantoms.films import film_truth
from tests.imaging_service.browser_pages import DESK, PHONE, Tab, browsing, serving
from tests.imaging_service.conftest import analyse_here, finished_service
from tests.imaging_service.drawn_film import FILM_WELLS, PIXEL_UM, drawn_film, film_inputs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def film_site(empty_database, tmp_path_factory):
    """A service whose one run is a film of eight wells."""
    from imaging_service.database.session import database_engine
    from imaging_service.settings import Settings

    root = tmp_path_factory.mktemp("film")
    inputs = film_inputs(root)
    analyse_here(inputs, root / "run")
    settings = Settings(data_dir=root / "data", scan_roots=str(root))
    settings.data_dir.mkdir()
    shutil.copy(empty_database, settings.data_dir / "service.db")
    with pytest.MonkeyPatch.context() as patch:
        yield finished_service(settings, inputs, root / "run", patch, wells=tuple(FILM_WELLS))
    database_engine(settings.url).dispose()


@pytest.fixture(scope="module")
def opened(film_site):
    """(open a tab, the site)."""
    with serving(film_site.application) as address, browsing() as browser:
        yield lambda **more: Tab(browser, address, **more), film_site


PAGES = (
    "/view/RUN",
    "/view/RUN/plate",
    "/view/RUN/wells/B05",
    "/view/RUN/wells/B05?field=1&frame=3",
    "/view/RUN/responses",
    "/view/RUN/quality",
    "/view/RUN/compound?name=x",
    "/view/RUN/curve?line=L1&compound=x&phenotype=rmst_h",
)


@pytest.mark.parametrize(
    ("viewport", "scheme"),
    [(DESK, "light"), (DESK, "dark"), (PHONE, "light")],
    ids=["desk", "dark", "phone"],
)
def test_a_film_s_pages_are_clean_to_axe(opened, viewport, scheme):
    open_tab, site = opened
    tab = open_tab(viewport=viewport, scheme=scheme)
    wrong = {}
    for path in PAGES:
        tab.page.goto(path.replace("RUN", site.run))
        tab.page.wait_for_load_state("networkidle")
        for chart in tab.page.locator("figure.chart").all():
            chart.locator("svg").first.wait_for()
        if faults := tab.looked_at():
            wrong[path] = faults
    tab.close()
    assert wrong == {}


def shown_marks(tab) -> list[tuple[str, bool]]:
    """(number or "", whether it died) of each ring over the pixels."""
    return tab.page.evaluate(
        "[...document.querySelectorAll('.mark.ring')].map((r) => [r.textContent,"
        " r.classList.contains('died')])"
    )


def test_a_film_is_stepped_through_and_a_death_leads_to_its_time_point(opened):
    open_tab, site = opened
    tab = open_tab()
    page = tab.page
    page.goto(f"/view/{site.run}/wells/B05")
    page.locator('#viewer[data-drawn="yes"]').wait_for()
    assert page.locator("#when").inner_text() == "time point 1 of 6, 0 h"
    with page.expect_response("**/pixels/0/0/0.png?frame=2*"):
        page.get_by_role("link", name="Later").click()
    assert page.locator("#when").inner_text() == "time point 2 of 6, 12 h"
    assert "frame=2" in page.url
    page.locator("#viewer").focus()
    page.keyboard.press(",")
    assert page.locator("#when").inner_text() == "time point 1 of 6, 0 h"
    ended = page.evaluate("JSON.parse(document.getElementById('ended').textContent)")
    death = next(neuron for neuron in ended if neuron["died"])
    number, frame = death["track"], death["frame"]
    page.locator(f"a[data-track='{number}']").click()
    tab.until("document.querySelectorAll('.mark.ring.followed.now').length", 1)
    assert f"frame={frame}&track={number}" in page.url
    rings = shown_marks(tab)
    due = [n for n in ended if n["frame"] <= frame]
    assert sorted(rings) == sorted(
        [str(n["track"]) if n["frame"] == frame else "", n["died"]] for n in due
    )
    # The neuron that is followed keeps its ring while it lives; the others have none yet.
    page.keyboard.press("Escape")
    page.locator("#viewer").focus()
    page.keyboard.press(",")
    tab.until("document.querySelectorAll('.mark.ring.followed:not(.now)').length", 1)
    page.locator("#marks").uncheck()
    assert shown_marks(tab) == []
    page.goto(f"/view/{site.run}/wells/B05?field=1&frame={frame}&track={number}")
    page.locator(".mark.ring.followed.now").wait_for()
    assert tab.faults == []
    tab.close()


def test_a_death_that_was_drawn_is_where_its_ring_is(opened):
    """Each death's place at its time point, against the neurons that were drawn."""
    open_tab, site = opened
    tab = open_tab()
    tab.page.goto(f"/view/{site.run}/wells/B05")
    ended = tab.page.evaluate("JSON.parse(document.getElementById('ended').textContent)")
    truth = film_truth(*drawn_film("B05"))
    away = []
    for neuron in (n for n in ended if n["died"]):
        frame = neuron["frame"] - 1
        seen = np.array([truth.seen_um(place, frame) for place in truth.start_um])
        at = np.array(neuron["places"][str(neuron["frame"])]) * PIXEL_UM
        away.append(float(np.hypot(*(seen - at).T).min()))
    assert len(away) >= 8
    assert max(away) < 8
    tab.close()


def test_survival_is_drawn_with_its_interval_and_the_neurons_at_risk(opened):
    open_tab, site = opened
    tab = open_tab()
    page = tab.page
    page.goto(f"/view/{site.run}")
    page.get_by_role("link", name="Survival curves and hazard ratios").click()
    chart = page.locator("#survival figure.chart").first
    chart.locator("svg").wait_for()
    # Bands of both arms, and the numbers at risk under them.
    assert chart.locator("svg .mark-rect path").count() > 4
    drawn = chart.locator("svg .mark-text text").all_text_contents()
    chart.locator("xpath=..").locator("summary").click()
    table = chart.locator("xpath=..").locator("tbody tr")
    rows = [row.locator("td").all_inner_texts() for row in table.all()]
    assert [row[0] for row in rows] == ["vehicle", "10 mM"]
    numbers = [n for row in rows for n in row[7:]]
    assert [text for text in drawn if text in numbers][-len(numbers) :] == numbers
    page.locator("#survival").get_by_role("link", name="x", exact=True).click()
    page.wait_for_url("**/compound?name=x*")
    page.locator("#survival figure.chart svg").first.wait_for()
    assert tab.faults == []
    tab.close()
