"""Take the pictures of docs/pages.md anew, from a service that has such runs to show.

    python -m benchmarks.pictures LINK --out docs/pages

`LINK` is the one that `imaging-service serve` prints. The service has three phantom plates
(`imaging-service phantom --seed 1`, 2 and 3), of three batches by their plate maps, one image of
the second cut short before it was submitted, and a screen of the three. Pictures of a film are
taken where one of its runs is a film. Each picture is to be looked at before it is kept.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import cv2
import numpy as np

# Three quarters of a desk's screen, and of a phone's.
SCALE, DESK, PHONE = 0.75, 1280, 390


def shown(ask: Any) -> list[tuple[str, str, str, int, int]]:
    """Name, light or dark, address, width and height of each picture, by what the API lists."""
    runs = [r for r in ask("/runs") if r["state"] == "done"]
    films = [r for r in runs if ask(f"/runs/{r['id']}/hazards")]
    fixed = [r for r in runs if r not in films]
    run = next((r for r in fixed if r["progress"]["failed"]), fixed[0])
    view = f"/view/{run['id']}"
    best = min(
        (r for r in ask(f"/runs/{run['id']}/responses") if r["status"] == "ok"),
        key=lambda r: r["q_value"],
    )
    row = urlencode({name: best[name] for name in ("line", "compound", "phenotype")})
    well = next(
        w["well"]
        for w in ask(f"/runs/{run['id']}/wells")
        if (w["line"], w["compound"], w["status"]) == (best["line"], best["compound"], "done")
    )
    pictures = [
        ("run", "light", view, DESK, 1500),
        ("run-phone", "light", view, PHONE, 1800),
        ("plate", "dark", f"{view}/plate?phenotype={best['phenotype']}", DESK, 1150),
        ("well", "light", f"{view}/wells/{well}", DESK, 1900),
        ("well", "dark", f"{view}/wells/{well}", DESK, 1900),
        ("curve", "dark", f"{view}/curve?{row}", DESK, 1500),
        ("responses", "light", f"{view}/responses", DESK, 1300),
        ("responses-phone", "light", f"{view}/responses#table", PHONE, 1800),
        ("compound", "light", f"/compound?name={best['compound']}", DESK, 1250),
        ("quality", "light", "/quality", DESK, 1383),
    ]
    for screen in ask("/projects/default/screens")[:1]:
        address = f"/screens/{screen['id']}?project=default"
        pictures += [("screen", light, address, DESK, 1300) for light in ("light", "dark")]
    for film in films[:1]:
        dead = ask(f"/runs/{film['id']}/tables/tracks?where=died%3D%3Dtrue&limit=1")["rows"][0]
        place = f"{film['id']}/wells/{dead['well']}?field={dead['field']}"
        pictures += [
            ("film", "dark", f"/view/{place}", DESK, 1360),
            ("survival", "light", f"/view/{film['id']}/responses#survival", DESK, 866),
        ]
    return pictures


def take(link: str, out: Path) -> None:
    """Write the pictures into a folder."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        server = link.partition("/open")[0]
        first = browser.new_context(base_url=server)
        first.request.get(link)

        def ask(path: str) -> Any:
            return first.request.get(path).json()

        for name, light, address, width, height in shown(ask):
            context = browser.new_context(
                base_url=server,
                viewport={"width": width, "height": height},
                color_scheme=light,
                storage_state=first.storage_state(),
            )
            page = context.new_page()
            page.goto(address)
            for chart in page.locator("figure.chart").all():
                chart.locator("svg").first.wait_for()
            page.wait_for_load_state("networkidle")
            # Made smaller here: drawn smaller by the browser, frames have lines of half a pixel.
            drawn = np.frombuffer(page.screenshot(), dtype=np.uint8)
            size = (round(width * SCALE), round(height * SCALE))
            picture = cv2.resize(
                cv2.imdecode(drawn, cv2.IMREAD_COLOR), size, None, 0, 0, cv2.INTER_AREA
            )
            path = out / f"{name if 'phone' in name else f'{name}-{light}'}.png"
            cv2.imwrite(str(path), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
            context.close()
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("link")
    parser.add_argument("--out", type=Path, default=Path("docs/pages"))
    chosen = parser.parse_args()
    take(chosen.link, chosen.out)
