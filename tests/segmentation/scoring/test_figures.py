from __future__ import annotations

import pytest

from imaging_service.models.scores import FIGURES
from segmentation.scoring.figures import NAMES, figure_value, figure_words


def test_every_figure_has_a_name():
    assert set(NAMES) == set(FIGURES)


@pytest.mark.parametrize(
    ("name", "figure", "words"),
    [
        ("length_error", (0.0512, 0.04, 0.061), ": 5.1 % (4.0 % … 6.1 %)"),
        ("nuclei_ap", (0.9,), ": 0.900 (too few wells for an interval)"),
        ("length_bias", (-0.2,), ": -20.0 % (too few wells for an interval)"),
    ],
)
def test_a_figure_in_words(name, figure, words):
    assert figure_words(name, figure) == NAMES[name] + words
    assert figure_value(name, figure[0]) in words
