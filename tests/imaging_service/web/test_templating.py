from __future__ import annotations

import subprocess
import sys

from imaging_service.web.templating import number


def test_numbers_for_people():
    assert (number(None), number(0.123456), number(12), number(float("nan"))) == (
        "–",
        "0.123",
        "12",
        "–",
    )


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
