"""A scan's folder goes from the browser's machine to the service."""

from __future__ import annotations

from pathlib import Path

from tests.imaging_service.browser_pages import Tab, browsing, serving
from tests.imaging_service.conftest import Served


def test_a_folder_is_uploaded_and_looked_at(data_folder, small_inputs, tmp_path):
    service = Served(data_folder, "", tmp_path)
    sent = {path.name: path.read_bytes() for path in Path(small_inputs.scan).iterdir()}
    with serving(service.application) as address, browsing() as browser:
        tab = Tab(browser, address)
        page = tab.page
        page.goto("/submit")
        page.locator("details summary").click()
        page.locator("#folder").set_input_files(small_inputs.scan)
        # The page goes on by itself to what the scan holds.
        page.wait_for_url("**/submit/scan?**", timeout=60_000)
        page.locator(".plate g.whole").first.wait_for()
        assert tab.faults == []
        # The same folder again: nothing is sent twice.
        blobs = []
        page.on("request", lambda r: r.method == "PUT" and blobs.append(r.url))
        page.goto("/submit")
        page.locator("details summary").click()
        page.locator("#folder").set_input_files(small_inputs.scan)
        page.wait_for_url("**/submit/scan?**", timeout=60_000)
        assert blobs == []
        tab.close()
    scan = data_folder.data_dir / "scans" / Path(small_inputs.scan).name
    assert {path.name: path.read_bytes() for path in scan.iterdir()} == sent
