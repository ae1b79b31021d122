"""What leaves the service, in a browser: exports in every state, releases and their requesters."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from imaging_service.database.tables import ExportRow
from imaging_service.database.tenants import LOCAL_LAB, now
from imaging_service.release.requests.records import decide, make_request
from tests.imaging_service.browser_pages import DESK, PHONE, Tab, browsing, serving
from tests.imaging_service.offered import offered_release
from tests.imaging_service.release.requests.test_records import ANSWERS
from tests.messages import states

REASON = "the disk of the data folder is full: 0 bytes are free, and the table takes 1.2 GB"


def exported(exporting, number: int, **values) -> str:
    """The id of an export of a run, in a state."""
    order = {"run": exporting.screened.runs[number], "tables": ["wells"], "format": "csv"}
    export = exporting.order(**order).json()["id"]
    if values:
        with exporting.screened.session() as session:
            wanted = sa.update(ExportRow).where(ExportRow.id == export)
            session.exec(wanted.values(**values))
            session.commit()
    return export


@pytest.mark.slow
def test_exports_and_offers_are_clean_to_axe_and_what_goes_on_follows(
    exporting, tmp_path, monkeypatch
):
    done = exported(exporting, 0)
    assert exporting.work(done) == "done"
    exported(exporting, 1, state="failed", reason=REASON)
    going_on = exported(exporting, 2, state="waiting", reason=REASON)
    offered = offered_release(exporting.screened, tmp_path, monkeypatch, lab=LOCAL_LAB)
    make_request(offered.folder, offered.bundle, now(), **ANSWERS)
    refused = make_request(offered.folder, offered.bundle, now(), **ANSWERS | {"who": "Bo Ek"}).id
    decide(
        offered.folder, offered.bundle, refused, now(), by="Jan Smit", approve=False, reason="no"
    )
    with serving(exporting.screened.application) as address, browsing() as browser:
        wrong = {}
        for viewport, scheme in ((DESK, "light"), (DESK, "dark"), (PHONE, "light")):
            tab = Tab(browser, address, viewport=viewport, scheme=scheme)
            for path in ("/exports", "/offers"):
                tab.page.goto(path)
                wrong[path, scheme, viewport["width"]] = tab.looked_at()
            tab.close()
        assert {k: v for k, v in wrong.items() if v} == {}
        tab = Tab(browser, address)
        page = tab.page
        page.goto("/account/projects")
        page.locator("main").get_by_role("link", name="Exports").click()
        row = page.locator(f"#e-{going_on}")
        assert states("exports_page.waits_for", row.inner_text())
        with exporting.screened.session() as session:
            session.exec(sa.update(ExportRow).values(state="done", size=5_600_000))
            session.commit()
        row.get_by_role("link", name="Download").wait_for()
        assert row.locator("td.n").inner_text() == "5.6 MB"
        with page.expect_download() as download:
            page.locator(f"#file-{done}").click()
        assert download.value.path().read_bytes()[:2] == b"PK"
        page.get_by_role("link", name="Releases", exact=True).click()
        assert page.locator("tbody tr").count() == 3
        assert tab.faults == []
        tab.close()
