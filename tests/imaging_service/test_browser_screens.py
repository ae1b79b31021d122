"""Screens in a browser: ordered of runs that are ticked, watched, and looked at."""

from __future__ import annotations

import pytest

from tests.imaging_service.browser_pages import PHONE, Tab, browsing, serving


@pytest.mark.slow
def test_a_screen_is_ordered_and_its_pages_are_clean_to_axe(screened):
    # Fitted before the browser starts, whose loop the worker's steps could not run in.
    done = screened.order(screened.runs, "all plates").json()["id"]
    screened.work(done)
    with serving(screened.application) as address, browsing() as browser:
        tab = Tab(browser, address, viewport=PHONE)
        page = tab.page
        page.goto("/screens")
        seen = tab.violations()
        page.get_by_label("Name of the screen").fill("two plates")
        for box in page.locator("input[name=run]").all()[:2]:
            box.check()
        page.get_by_role("button", name="Order the screen").click()
        page.wait_for_url("**/screens/*?project=default")
        assert page.locator("#progress .tag").inner_text() == "queued"
        seen += tab.violations()
        page.goto(f"/screens/{done}?project=default")
        for chart in page.locator("figure.chart").all():
            chart.locator("svg").first.wait_for()
        tab.until(
            "[...document.querySelectorAll('figure.chart')].every((f) => !!f.dataset.drawn)", True
        )
        seen += tab.violations()
        # A chart that no address gives is saved by the page.
        saved = {}
        for kind in ("SVG", "PNG"):
            with page.expect_download() as download:
                page.get_by_role("button", name=kind).first.click()
            saved[kind] = download.value.path().read_bytes()[:4]
        assert saved == {"SVG": b"<svg", "PNG": b"\x89PNG"}
        assert (seen, tab.faults) == ([], [])
        tab.close()
    assert [s["name"] for s in screened.get("/projects/default/screens").json()] == [
        "two plates",
        "all plates",
    ]
