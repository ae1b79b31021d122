"""Pages in the system's Chromium: a server in a thread, a browser, and what a page must not do."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import uvicorn

from tests.imaging_service.conftest import LOCAL_TOKEN
from tests.service import free_port

# Said by OpenSeadragon as it drops, rightly, a tile of channels or a frame that are no longer shown:
# whether one was on its way depends on the machine alone.
OUTDATED_TILE = "loaded before reset"

# What kind of screen, and in which light.
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def chromium() -> str:
    """The system's Chromium, which CI installs."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise pytest.UsageError("no Chromium: the tests of the pages need one (apt install chromium)")


@contextmanager
def serving(application, port: int = 0) -> Iterator[str]:
    """The application on a port of this machine, any that is free; gives its address."""
    # A test that fails leaves its tab open: the server does not wait for it.
    config = uvicorn.Config(
        application,
        port=port or free_port(),
        log_level="error",
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{config.port}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def browsing() -> Iterator[object]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """One tab, and everything that went wrong in it."""

    def __init__(
        self, browser, address: str, viewport=DESK, scheme: str = "light", token=LOCAL_TOKEN
    ) -> None:
        self.context = browser.new_context(
            viewport=viewport,
            color_scheme=scheme,
            accept_downloads=True,
            base_url=address,
        )
        # A busy machine is not a fault: a page that reads a scan first starts a process for it.
        self.context.set_default_timeout(120_000)
        # As the user of a service without keys: the cookie that its link gives.
        if token:
            self.context.request.get(f"/open?token={quote(token)}")
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on(
            "response",
            lambda r: r.status >= 400 and self.faults.append(f"{r.status}: {r.url}"),
        )

    def _console(self, message) -> None:
        # Violations of the policy are messages of the console as well.
        if message.type in ("error", "warning") and OUTDATED_TILE not in message.text:
            self.faults.append(f"{message.type}: {message.text}")

    def violations(self) -> list[str]:
        """What axe-core finds wrong, with the elements; run apart from the page's own policy."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [
            f"{v['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
            for v in found
            for node in v["nodes"][:3]
        ]

    def drop(self, onto: str, folder: Path) -> None:
        """Drag a folder of this machine onto an element, as from a file manager."""
        # Before its script has run a page takes no drop, and says nothing about it.
        self.page.wait_for_load_state()
        box = self.page.locator(onto).bounding_box()
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        dragged = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
        session = self.context.new_cdp_session(self.page)
        for kind in ("dragEnter", "dragOver", "drop"):
            session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": dragged})
        session.detach()

    def until(self, script: str, value: object) -> None:
        """Wait until a script gives a value.

        It is asked from here: the page's policy refuses what a page evaluates a second time by
        itself, as `wait_for_function` does.
        """
        deadline = time.monotonic() + 120
        while (seen := self.page.evaluate(script)) != value:
            assert time.monotonic() < deadline, (script, seen)
            self.page.wait_for_timeout(50)

    def looked_at(self) -> list[str]:
        """What is wrong with the page as it is now: by axe, by its width, and since the last look."""
        over = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        wrong = [*self.faults, *self.violations(), *(["wider than the screen"] if over > 1 else [])]
        self.faults.clear()
        return wrong

    def close(self) -> None:
        self.context.close()
