from __future__ import annotations

import json
import re

import polars as pl
import pytest

from imaging_service.screens.folder import add_run, draw, fit
from imaging_service.web.screen_report import Picture
from imaging_service.web.templating import why
from tests.imaging_service.written_runs import LINES, four_runs


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    root = tmp_path_factory.mktemp("screen")
    for run in four_runs(root)[:2]:
        add_run(root / "als", run)
    fit(root / "als")
    return root / "als"


@pytest.fixture(scope="module")
def page(screen):
    return (screen / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("picture", "name"),
    [
        (Picture("curve", "live_density", "x", "S1", dict), "curve_live-density_x_S1"),
        (Picture("heatmap", "live_density", "", "", dict), "heatmap_live-density"),
        (Picture("forest", "a", "../x y", "", dict), "forest_a_..-x-y"),
    ],
)
def test_a_picture_s_name_is_a_file_s(picture, name):
    assert picture.name == name


def test_the_page_has_its_pictures_in_it(page):
    shown = json.loads(re.search(r'id="specs">(.*?)</script>', page, re.DOTALL).group(1))
    assert {kind: len(specs) for kind, specs in shown.items()} == {
        "heatmap": 2,
        "forest": 2,
        "curve": 12,
        "window": 0,
        "variance": 0,
    }


def test_the_page_counts_what_the_tables_hold(page, screen):
    responses = pl.read_parquet(screen / "responses.parquet")
    assert responses["line"].n_unique() == len(LINES)
    for line in LINES:
        assert line in page


def test_every_entry_of_the_menu_is_a_section_and_none_says_that_rows_were_refused(page):
    menu = re.findall(r'<a href="#([\w-]+)">', page[: page.index("</nav>")])
    assert [name for name in menu if f'<section id="{name}">' not in page] == []
    assert "without-result" in menu
    assert "refused" not in menu


def test_the_same_screen_is_the_same_page(screen, page):
    fit(screen)
    assert (screen / "report.html").read_text(encoding="utf-8") == page


def test_the_strongest_effects_are_drawn_first(screen, tmp_path):
    responses = pl.read_parquet(screen / "responses.parquet").sort(
        pl.col("hit").fill_null(value=False),
        "q_value",
        "line",
        descending=[True, False, False],
        nulls_last=True,
    )
    (first,) = draw(screen, tmp_path, kind="curve", most=1)
    assert f"_{responses['line'][0]}." in first.name


def test_a_value_that_is_missing_says_why(page):
    """Of a screen with many rows that have no curve, no rescue and no interval."""
    assert re.findall(r"<t[dh][^>]*>\s*–", page) == []
    hints = re.findall(r'<span class="none" title="([^"]*)">–</span>', page)
    assert len(hints) > 10
    unknown = why({"status": "ok", "reason": ""})
    assert {"", unknown} & set(hints) == set()
