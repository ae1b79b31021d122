"""The whole way in a browser, with a real worker: sign in, drag a plate in, watch, look, filter,
download, read a refusal, retry a failed well; on a desk's screen and then a phone's."""

from __future__ import annotations

import csv
import os
from urllib.parse import urlencode

import pytest

from tests.imaging_service.browser_pages import PHONE, Tab, browsing
from tests.messages import states

pytestmark = pytest.mark.slow


def treated(plate) -> list[str]:
    """Wells with a compound at a dose, by the plate map."""
    with (plate / "plate_map.csv").open(encoding="utf-8-sig", newline="") as file:
        return [row["well"] for row in csv.DictReader(file) if row["dose"] and not row["control"]]


def test_from_signing_in_to_a_retried_well(service, phantom_plate, tmp_path):
    running, client = service
    with browsing() as browser:
        tab = Tab(browser, running.url, token="")
        page = tab.page
        page.goto(running.link())
        # Drag the phantom plate in: its scan drawn, its map checked and drawn, then the run.
        page.get_by_role("link", name="Submit a plate").first.click()
        page.locator("#drop").wait_for()
        tab.drop("#drop", phantom_plate / "Phantom-1")
        page.wait_for_url("**/submit/scan?**", timeout=120_000)
        page.locator(".plate g.whole").first.wait_for()
        assert page.locator("#submit").is_disabled()
        page.locator("#protocol").fill((phantom_plate / "protocol.toml").read_text())
        page.locator("#plate-map").set_input_files(phantom_plate / "plate_map.csv")
        page.get_by_role("button", name="Check and draw").click()
        page.locator("#map .plate g.line").first.wait_for(timeout=60_000)
        page.get_by_role("button", name="Submit the plate").click()
        page.wait_for_url("**/view/*", timeout=120_000)
        run = page.url.rsplit("/", 1)[-1]
        # While it is stopped a file is damaged: its well fails, and no other.
        page.get_by_role("button", name="Stop the run").click()
        page.get_by_role("button", name="Go on").wait_for()
        ended = {w["well"] for w in tab.context.request.get(f"/runs/{run}/progress").json()}
        well = max(set(treated(phantom_plate)) - ended)
        scan = running.folder / "data" / "scans" / "Phantom-1"
        damaged = next(scan.rglob(f"*_{well}_s1_w1.tif"))
        kept = tmp_path / damaged.name
        os.replace(damaged, kept)
        damaged.write_bytes(kept.read_bytes()[:40_000])
        page.get_by_role("button", name="Go on").click()
        # Watch it: its page follows by itself, and so does one that has nothing to show yet.
        page.locator("#progress .plate g.done").first.wait_for(timeout=120_000)
        page.goto(f"/view/{run}/plate")
        # The status of a page whose tables are not there yet, which the console repeats.
        seen = {"waits": [wrong for wrong in tab.looked_at() if "409" not in wrong]}
        page.locator("#wells").wait_for(timeout=400_000)
        page.get_by_role("link", name="Run", exact=True).click()
        row = page.locator("#failed tbody tr")
        assert [row.locator("td").first.inner_text()] == [well]
        assert states("pages.file_changed", row.inner_text())
        seen["run"] = tab.looked_at()
        # A well, from the drawn plate; its outlines are switched.
        page.locator(".plate a").first.click()
        page.locator('#viewer[data-drawn="yes"]').wait_for()
        with page.expect_response("**/neurites/0/0/0.png*"):
            page.get_by_label("neurites").check()
        seen["well"] = tab.looked_at()
        # One line's rows, downloaded as they are seen.
        page.get_by_role("link", name="Responses").click()
        page.locator("#table select[name=line]").select_option("SOD1-07")
        page.wait_for_url("**line=SOD1-07**")
        rows = page.locator("#table tbody tr").count()
        with page.expect_download() as download:
            page.locator("#table").get_by_role("link", name="CSV").click()
        downloaded = download.value.path().read_text(encoding="utf-8-sig").splitlines()[1:]
        known = tab.context.request.get(f"/runs/{run}/responses?line=SOD1-07").json()
        assert len(downloaded) == rows == len(known) > 0
        assert {row.split(",")[0] for row in downloaded} == {"SOD1-07"}
        seen["responses"] = tab.looked_at()
        # A refused row says why, and its page says the same beside its curve.
        refused = page.locator("#table tbody tr:not(.ok):not(.flat)").first
        status, reason = refused.locator("td.why").inner_text().split(maxsplit=1)
        refused.locator('a[href*="/curve?"]').click()
        assert (
            page.locator("p", has=page.locator(".tag")).first.inner_text() == f"{status} {reason}"
        )
        seen["refused"] = tab.looked_at()
        # A curve is read, and its points lead to their wells.
        curves = tab.context.request.get(f"/runs/{run}/curves").json()
        curve = next(c for c in curves if any(dose > 0 for dose in c["dose_molar"]))
        of = {name: curve[name] for name in ("line", "compound", "phenotype")}
        page.goto(f"/view/{run}/curve?{urlencode(of)}")
        page.locator("figure.chart svg.marks").first.wait_for()
        seen["curve"] = tab.looked_at()
        page.locator("figure.chart svg g.role-mark.layer_2_marks path").first.click()
        page.wait_for_url("**/wells/*")
        # The failed well is tried again from its page, once its file is back.
        os.replace(kept, damaged)
        page.goto(f"/view/{run}")
        page.locator("#failed").get_by_role("link", name=well).click()
        seen["failed well"] = tab.looked_at()
        page.get_by_role("button", name=f"Retry {well}").click()
        page.locator("#findings").wait_for(timeout=200_000)
        assert page.locator("#failed").count() == 0
        assert client.run(run).progress.failed == 0
        page.set_viewport_size(PHONE)
        page.reload()
        seen["phone"] = tab.looked_at()
        assert {place: wrong for place, wrong in seen.items() if wrong} == {}
        tab.close()
