"""The plug-in's tests have a run of their own (`make test`): napari's fixtures would else be loaded
into every test of the science.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from napari_plugin.session import ReviewSession

DISPLAYED = not sys.platform.startswith("linux") or bool(
    os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
)
if not DISPLAYED:
    # Qt draws into memory then, which does for all but napari's viewer: it needs OpenGL.
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def pytest_report_header() -> str:
    """Say once what becomes of the tests with napari's viewer."""
    return (
        "napari's viewer:"
        f" {'a display is there' if DISPLAYED else 'no display (install xvfb-run), its tests are left out'}"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """napari's viewer needs its fixtures and a display: both must be there in CI, elsewhere its
    tests are left out.
    """
    windows = [i for i in items if "make_napari_viewer" in getattr(i, "fixturenames", ())]
    missing = []
    if not config.pluginmanager.hasplugin("napari.utils._testsupport"):
        missing.append("pytest -p napari.utils._testsupport")
    if not DISPLAYED:
        missing.append("a display (xvfb-run)")
    if windows and missing:
        words = (
            f"{len(windows)} tests with napari's viewer need {' and '.join(missing)}; `make test`"
            " sees to both where xvfb-run is installed"
        )
        if os.environ.get("CI"):
            raise pytest.UsageError(words)
        config.hook.pytest_deselected(items=windows)
        items[:] = [item for item in items if item not in windows]


@pytest.fixture
def session(analysed: Path):
    """A session on the run of the small phantom plate, to look at."""
    opened = ReviewSession.open(analysed)
    yield opened
    opened.close()


@pytest.fixture
def run(analysed: Path, tmp_path: Path) -> Path:
    """A copy of the phantom plate's run, so that it may be written to."""
    return shutil.copytree(analysed, tmp_path / "run", ignore=shutil.ignore_patterns("*.lock"))


@pytest.fixture
def review(make_napari_viewer):
    """(viewer, widget, press): `press` is a key as napari hears it, the selected layer's before the
    viewer's.
    """
    from napari_plugin.widget import ReviewWidget

    viewer = make_napari_viewer()
    widget = ReviewWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Review a run", area="right")

    def press(key):
        active = viewer.layers.selection.active
        keymap = {
            **{str(k): f for k, f in viewer.keymap.items()},
            **{str(k): f for k, f in (active.keymap if active else {}).items()},
        }
        keymap[key](viewer)

    yield viewer, widget, press
    widget.close_session()
