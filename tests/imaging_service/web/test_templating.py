from __future__ import annotations

import subprocess
import sys

from imaging_service.web.templating import marked_up, number


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
