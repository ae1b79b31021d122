from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

import imaging_service.web
from imaging_service.cli.main import app
from imaging_service.web.templating import marked_up, number

TEMPLATES = Path(imaging_service.web.__file__).parent / "templates"


def test_numbers_for_people():
    assert (number(None), number(0.123456), number(12), number(float("nan"))) == (
        "–",
        "0.123",
        "12",
        "–",
    )


def test_a_number_is_written_without_a_power_of_ten_below_a_million():
    assert [number(v, 2) for v in (-381.6, 12345.0, 999_999.0, 2.5e6, 9.6e-5)] == [
        "-380",
        "12000",
        "1000000",
        "2.5e+06",
        "9.6e-05",
    ]


def test_what_stands_between_backticks_is_code_and_nothing_of_a_sentence_is_markup():
    assert marked_up("a <b> then `x < y`.") == "a &lt;b&gt; then <code>x &lt; y</code>."


def test_a_server_starts_without_what_draws_and_analyses():
    """Its imports took longer than all else together."""
    heavy = (
        "scipy.stats",
        "cv2",
        "torch",
        "skimage",
        "zarr",
        "statsmodels",
        "imaging_service.protocol",
    )
    program = (
        "import sys, imaging_service.api.server;"
        f"print([m for m in {heavy!r} if m in sys.modules], len(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded, _, count = done.stdout.strip().rpartition(" ")
    assert loaded == "[]"
    # 1,200 when it was counted; libraries grow, and one that draws or analyses has hundreds.
    assert int(count) < 1400


def shown_commands() -> list[str]:
    """Commands in the templates of pages, with X for what a page fills in."""
    texts = [path.read_text(encoding="utf-8") for path in TEMPLATES.rglob("*.html")]
    named = [n for text in texts for n in re.findall("<code>imaging-service ([^<]+)</code>", text)]
    return sorted({re.sub(r"\{\{.*?\}\}", "X", command) for command in named})


@pytest.mark.parametrize("shown", shown_commands())
def test_a_command_that_a_page_shows_can_be_given_as_it_stands(shown):
    """With its arguments and all options that it needs, or by its name alone."""
    words, command = shown.split(), typer.main.get_command(app)
    while words and isinstance(command, TyperGroup):
        command = command.commands[words.pop(0)]
    assert not isinstance(command, TyperGroup)
    if words:
        with command.make_context(shown, words):
            pass


def test_pages_show_commands():
    assert ["keys", "add"] in [command.split()[:2] for command in shown_commands()]
