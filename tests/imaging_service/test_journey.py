"""The whole way in a browser, with a real worker: sign in, submit, watch, look, retry."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from tests.imaging_service.browser_pages import Tab, browsing

pytestmark = pytest.mark.slow


def test_from_signing_in_to_a_retried_well(service, phantom_plate, tmp_path):
    running, client = service
    link = re.search(r"http://\S+/open\?token=\S+", running.log())[0]
    with browsing() as browser:
        tab = Tab(browser, running.url, token="")
        page = tab.page
        page.goto(link)
        # Submit the phantom plate: its scan drawn, its map checked and drawn, then the run.
        page.get_by_role("link", name="Submit a plate").first.click()
        page.get_by_label("Folder on the server").fill(str(phantom_plate / "Phantom-1"))
        page.get_by_role("button", name="Look").click()
        page.locator(".plate g.whole").first.wait_for()
        assert page.locator("#submit").is_disabled()
        page.locator("#protocol").fill((phantom_plate / "protocol.toml").read_text())
        page.locator("#plate-map").set_input_files(phantom_plate / "plate_map.csv")
        page.get_by_role("button", name="Check and draw").click()
        page.locator("#map .plate g.line").first.wait_for(timeout=60_000)
        page.get_by_role("button", name="Submit the plate").click()
        # Watch it: the page follows by itself until what was found is there.
        page.wait_for_url("**/view/*", timeout=120_000)
        page.locator("#progress .plate g.done").first.wait_for(timeout=120_000)
        page.locator("#findings").wait_for(timeout=400_000)
        run = page.url.rsplit("/", 1)[-1]
        # A well, from the drawn plate.
        page.locator(".plate a").first.click()
        page.locator('#viewer[data-drawn="yes"]').wait_for()
        # A refused row says why.
        page.goto(f"/view/{run}/responses")
        refused = page.locator("#table tbody tr:not(.ok):not(.flat)").first
        assert refused.locator("td.why").inner_text()
        refused.locator("a").first.click()
        assert page.locator(".headline").inner_text()
        assert tab.faults == []
        # A failed well is tried again from its row.
        engine = sa.create_engine(f"sqlite:///{running.folder / 'data' / 'service.db'}")
        with engine.begin() as connection:
            well = connection.execute(
                sa.text("SELECT well FROM well_result WHERE run_id = :run LIMIT 1"), {"run": run}
            ).scalar_one()
            connection.execute(
                sa.text(
                    "UPDATE well_result SET status='failed', reason='by the test'"
                    " WHERE run_id = :run AND well = :well"
                ),
                {"run": run, "well": well},
            )
        engine.dispose()
        page.goto(f"/view/{run}")
        page.get_by_role("button", name=f"Retry {well}").click()
        page.locator("#findings").wait_for(timeout=200_000)
        assert page.locator("#failed").count() == 0
        assert client.run(run).progress.failed == 0
        tab.close()
