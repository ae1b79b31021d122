from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.inference.power import Design, components_of
from imaging_service.web.charts import svg
from imaging_service.web.power_charts import power_picture
from phenotypes.screens.power import Question, power_table
from tests.messages import states

PARTS = components_of(Design(3))
QUESTION = Question(0.5, 0.2)


@pytest.fixture(scope="module")
def table():
    return power_table(PARTS, QUESTION)


def values(spec, layer):
    return spec["layer"][layer]["data"]["values"]


def test_panels_show_the_numbers_of_the_table(table):
    spec = power_picture(PARTS, QUESTION, table, "log2 ratio")
    line, donors, vehicles = spec["hconcat"]
    # 40 arms of 4 wells: √40 × 4 = 25, of which 24 is in the table.
    shown = next(
        p
        for p in values(line, 1)
        if (p["wells"], p["batches"], p["test"]) == ("4 + 24", 5, "borrowed variance")
    )
    row = table.filter(test="line", n_batches=5, n_wells=4, n_vehicle=24)
    assert shown["power"] == row["moderated_power"].item()
    shown = next(p for p in donors["data"]["values"] if (p["batches"], p["donors"]) == (3, 6))
    row = table.filter(test="donors", n_batches=3, n_donors=6, n_wells=4, n_vehicle=24)
    assert shown["power"] == row["moderated_power"].item()
    marks = values(vehicles, 1)
    assert [m["which"] for m in marks] == ["this screen: 16", "best: 24"]
    assert marks[1]["sd"] <= min(p["sd"] for p in values(vehicles, 0))
    assert "5 %" in spec["title"]["subtitle"]
    text = svg(spec)
    for word in ("One line", "Mean over donors", "Vehicle wells", "differentiation batches"):
        assert word in text


def test_a_panel_without_numbers_is_left_out():
    parts = replace(PARTS, donors=None, prior_variance=None, prior_freedom=None)
    spec = power_picture(parts, QUESTION, power_table(parts, QUESTION), "log2 ratio")
    line, _ = spec["hconcat"]
    assert states("power.no_borrowing", line["title"]["subtitle"])
    assert {p["test"] for p in values(line, 1)} == {"plain t"}
