"""How long a browser waits for the first pixels and the first chart of a 384-well plate.

    python -m benchmarks.speed.first_view

The plate of `benchmarks.speed.pages`, on loopback. Each visit is by a headless Chromium whose cache
is empty. `cold` is the first visit of a kind: that of the well is the first page that the server
answers after its start. The others are those after it. Times begin with the navigation: to the
first picture of a field that is decoded, to the field drawn in its viewer, and to the first chart.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.speed.pages import COMPOUNDS, LINES, PHENOTYPES, PORT, RUN, make_store, serve

VISITS = 7
# Notes when each thing is first there, in milliseconds from the navigation.
WATCH = """
window.firsts = {};
const note = (name) => { window.firsts[name] ??= performance.now(); };
document.addEventListener("load", (event) => {
  if (event.target.matches?.("#viewer img")) note("pixels");
}, true);
new MutationObserver(() => {
  if (document.querySelector('#viewer[data-drawn="yes"]')) note("viewer");
  if (document.querySelector("figure.chart svg.marks")) note("chart");
}).observe(document, { subtree: true, childList: true, attributes: true });
"""


def pages() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Kind of page ► its address, and what is waited for."""
    view = f"/view/{RUN}"
    row = f"line={LINES[1]}&compound={COMPOUNDS[2]}&phenotype={PHENOTYPES[0]}"
    return {
        "well": (f"{view}/wells/B04", ("pixels", "viewer", "chart")),
        "curve": (f"{view}/curve?{row}", ("chart",)),
        "responses": (f"{view}/responses", ("chart",)),
        "line": (f"{view}/line?name={LINES[1]}", ("chart",)),
        "compound": (f"{view}/compound?name={COMPOUNDS[2]}", ("chart",)),
    }


def visit(browser: Any, token: str, address: str, wanted: tuple[str, ...]) -> dict[str, float]:
    """Milliseconds to each thing on a page, by a browser that has never seen the service."""
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{PORT}", viewport={"width": 1280, "height": 900}
    )
    context.request.get("/open", params={"token": token})
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(address)
    for name in wanted:
        page.locator(
            {"pixels": "#viewer", "viewer": '#viewer[data-drawn="yes"]'}.get(
                name, "figure.chart svg.marks"
            )
        ).first.wait_for()
    firsts: dict[str, float] = page.evaluate("window.firsts")
    context.close()
    return firsts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--visits", type=int, default=VISITS)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    from tests.imaging_service.browser_pages import chromium

    with tempfile.TemporaryDirectory() as folder:
        make_store(Path(folder))
        server, token = serve(Path(folder))
        try:
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
                print("| page | first | cold, ms | median, ms | longest, ms | visits |")
                print("|---|---|---|---|---|---|")
                for kind, (address, wanted) in pages().items():
                    cold, *visits = (
                        visit(browser, token, address, wanted) for _ in range(given.visits + 1)
                    )
                    for name in wanted:
                        times = [v[name] for v in visits if name in v]
                        if times:
                            print(
                                f"| {kind} | {name} | {cold[name]:.0f} |"
                                f" {statistics.median(times):.0f} | {max(times):.0f} |"
                                f" {len(times)} |"
                            )
                browser.close()
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
