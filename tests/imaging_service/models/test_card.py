from __future__ import annotations

import json

import pytest

from imaging_service.errors import ModelRefused
from imaging_service.models.card import card, card_of
from tests.messages import says, states


def test_a_card_is_made_from_the_models_files(trained):
    text = card_of(trained)
    content = json.loads((trained / "lineage.json").read_text())
    assert text == (trained / "card.md").read_text()
    for part in (
        content["weights_sha256"],
        content["parent"]["sha256"],
        content["licence"],
        "Not promoted",
        "L0: unknown",
        "Left out: P9: NMDS",
        "| neurites, F1 at 3 px |",
        "| neurite_f1 |",
        "| live_density, fields held out |",
    ):
        assert part in text
    after = content["evidence"]["after"]
    assert f"{after['benchmark']['nuclei_ap']:.3f}" in text
    # Four fields of two wells on two plates are held out.
    assert states("models.card_counts_fields", text)


def test_a_figure_without_an_interval_says_why(trained):
    content = json.loads((trained / "lineage.json").read_text())
    figure = content["evidence"]["after"]["held_out"]["neurite_f1"]
    assert figure["wells"] == 4
    figure |= {"low": None, "high": None, "wells": 2}
    assert states("models.card_without_interval", card(content, None))


def test_a_folder_without_a_lineage_has_no_card(tmp_path):
    with pytest.raises(ModelRefused, match=says("models.no_lineage")):
        card_of(tmp_path)
