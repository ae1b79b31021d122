"""The plug-in's tests have a run of their own (`make test`): napari's fixtures would else be loaded into every test of the science."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from napari_plugin.session import ReviewSession


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """napari's viewer needs its fixtures and a display: both must be there in CI, elsewhere its tests say what is missing."""
    windows = [i for i in items if "make_napari_viewer" in getattr(i, "fixturenames", ())]
    missing = []
    if not config.pluginmanager.hasplugin("napari.utils._testsupport"):
        missing.append("pytest -p napari.utils._testsupport")
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        missing.append("a display (xvfb-run)")
    if windows and missing:
        words = (
            f"{len(windows)} tests with napari's viewer need {' and '.join(missing)}; `make test` sees to both where xvfb-run is installed"
        )
        if os.environ.get("CI"):
            raise pytest.UsageError(words)
        for item in windows:
            item.add_marker(pytest.mark.skip(reason=words))


@pytest.fixture
def session(analysed: Path):
    """A session on the run of the small phantom plate, to look at."""
    opened = ReviewSession.open(analysed)
    yield opened
    opened.close()
