"""What the panel says of a well, and how far its review is."""

from __future__ import annotations

import csv
from datetime import UTC, datetime

import pytest

from imaging_service.schemas import Verdict
from napari_plugin.views.wells import WellTable, format_dose
from plate_maps import conditions

ROWS = """
well|line|compound|dose_molar|control|status|reason|n_fields|live_density|neurite_um
B02|L1|DMSO|0.0|vehicle|done||2|100.0|50
B03|L1|DMSO|0.0|vehicle|done||2|200.0|
B04|L1|DMSO|0.0|vehicle|excluded|out of focus|2|9000.0|60
B05|L1|ril|1e-06|none|done||2|123.456|40
B06|L1|ref|3e-05|positive|excluded|too few cells|3|0.5|
B07|L2|||none|failed|no image|0||
AA08|L2|ril|2.5e-07|none|done||2|50.0|
AB12|L2|||none|skipped|not scanned|||
"""
CURVES = [
    {"line": "L1", "phenotype": "live_density", "compound": "eda", "wells": ["B02", "B09"]},
    {"line": "L1", "phenotype": "live_density", "compound": "ril", "wells": ["B02", "B03", "B05"]},
    {"line": "L1", "phenotype": "neurite_um", "compound": "ril", "wells": ["B02"]},
    {"line": "L2", "phenotype": "live_density", "compound": "eda", "wells": ["B10"]},
]


class Run:
    """A run of eight wells; its tables are there once they were refreshed."""

    def __init__(self, protocol=()):
        self.record = {
            "inputs": {
                "protocol": {"response": {"phenotypes": ["live_density", "neurite_um"]}}
                | dict(protocol)
            }
        }
        self.refreshed = False

    def refresh(self):
        self.refreshed = True

    def wells(self):
        assert self.refreshed
        return list(csv.DictReader(ROWS.strip().splitlines(), delimiter="|"))

    def curves(self):
        assert self.refreshed
        return CURVES


@pytest.fixture
def table():
    return WellTable(Run())


def test_wells_with_fields_can_be_opened_and_the_others_say_why_not(table):
    assert table.wells == ["B02", "B03", "B04", "B05", "B06", "AA08"]
    assert table.unusable == {"B07": "no image", "AB12": "not scanned"}
    assert [table.fields(well) for well in ("B02", "B06")] == [2, 3]


def test_neurons_are_tracked_where_the_protocol_has_survival(table):
    assert table.phenotypes == ["live_density", "neurite_um"]
    assert not table.longitudinal
    assert not WellTable(Run({"survival": None})).longitudinal
    assert WellTable(Run({"survival": {"definition": "reporter_loss"}})).longitudinal


@pytest.mark.parametrize(
    ("well", "words"),
    [
        ("B02", "L1 · DMSO"),
        ("B05", "L1 · ril 1 µM"),
        ("AA08", "L2 · ril 250 nM"),
        ("B06", "L1 · ref"),
        ("B07", "L2 · none"),
    ],
)
def test_a_condition_is_line_and_compound_and_of_a_treated_well_the_dose(table, well, words):
    assert table.condition(well) == words


def test_phenotypes_stand_beside_the_vehicle_mean_of_the_line(table):
    assert table.words("B05") == (
        "L1 · ril 1 µM\nlive_density: 123.5 (vehicle 150)\nneurite_um: 40 (vehicle 50)"
    )
    assert table.words("B06") == (
        "L1 · ref\nexcluded: too few cells\nlive_density: 0.5 (vehicle 150)\n"
        "neurite_um: – (vehicle 50)"
    )
    assert table.words("AA08") == "L2 · ril 250 nM\nlive_density: 50\nneurite_um: –"


def test_a_vehicle_mean_is_over_wells_of_the_line_that_are_done_and_have_a_value(table):
    assert table.vehicle_mean("L1", "live_density") == 150.0
    assert table.vehicle_mean("L1", "neurite_um") == 50.0
    assert table.vehicle_mean("L2", "live_density") is None


@pytest.mark.parametrize(
    ("well", "phenotype", "curve"),
    [
        ("B05", "live_density", 1),
        ("B05", "neurite_um", 2),
        ("B02", "live_density", 0),
        ("B03", "live_density", 1),
        ("B03", "neurite_um", None),
        ("B06", "live_density", None),
        ("AA08", "live_density", None),
    ],
)
def test_a_well_has_the_curve_of_its_compound_and_a_vehicle_the_first_that_it_lies_on(
    table, well, phenotype, curve
):
    assert table.curve(well, phenotype) == (None if curve is None else CURVES[curve])


def standing(*verdicts):
    """Verdicts as (well, field or None, reason): without a reason an acceptance."""
    return {
        (well, number, None): Verdict(
            well=well,
            field=number,
            accepted=not reason,
            author="ann",
            reason=reason,
            time=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for well, number, reason in verdicts
    }


def test_before_a_review_wells_are_open_excluded_or_unusable(table):
    marks = table.marks({}, blinded=False)
    assert [(m.well, m.row, m.column, m.state) for m in marks] == [
        ("B02", 2, 2, "open"),
        ("B03", 2, 3, "open"),
        ("B04", 2, 4, "excluded"),
        ("B05", 2, 5, "open"),
        ("B06", 2, 6, "excluded"),
        ("B07", 2, 7, "failed"),
        ("AA08", 27, 8, "open"),
        ("AB12", 28, 12, "skipped"),
    ]
    assert marks[2].words == "B04 · L1 · DMSO · out of focus"
    assert marks[5].words == "B07 · L2 · none · no image"


@pytest.mark.parametrize(
    ("verdicts", "state", "words"),
    [
        ([("B05", 1, "")], "begun", "1 of 2 fields judged"),
        ([("B05", 2, "bubble")], "begun", "1 of 2 fields judged"),
        ([("B05", 1, ""), ("B05", 2, "")], "accepted", ""),
        ([("B05", 1, ""), ("B05", 2, "bubble")], "mixed", "1 of 2 fields rejected"),
        ([("B05", 1, "dust"), ("B05", 2, "bubble")], "rejected", "all fields"),
        ([("B05", None, "")], "accepted", ""),
        ([("B05", None, "bubble")], "rejected", "bubble"),
        ([("B05", 1, ""), ("B05", 2, ""), ("B05", None, "bubble")], "rejected", "bubble"),
        ([("B05", 1, "dust"), ("B05", 2, "dust"), ("B05", None, "")], "accepted", ""),
        ([("B02", 1, ""), ("B02", 2, "")], "open", ""),
    ],
)
def test_verdicts_on_the_fields_and_on_the_well_decide_about_its_mark(
    table, verdicts, state, words
):
    (mark,) = (m for m in table.marks(standing(*verdicts), blinded=False) if m.well == "B05")
    assert (mark.state, mark.words) == (
        state,
        " · ".join(filter(None, ("B05 · L1 · ril 1 µM", words))),
    )


def test_a_verdict_outweighs_what_the_checks_excluded_and_never_what_could_not_be_read(table):
    verdicts = standing(("B04", None, ""), ("B06", 1, ""), ("B07", None, ""))
    states = {m.well: m.state for m in table.marks(verdicts, blinded=False)}
    assert [states[well] for well in ("B04", "B06", "B07")] == ["accepted", "begun", "failed"]


def test_a_blinded_reviewer_reads_how_far_a_well_is_and_not_what_is_in_it(table):
    marks = {m.well: m for m in table.marks(standing(("B05", 1, "")), blinded=True)}
    assert marks["B05"].words == "B05 · 1 of 2 fields judged"
    assert marks["B02"].words == "B02"


@pytest.mark.parametrize(
    ("molar", "words"),
    [
        (2.0, "2 M"),
        (0.01, "10 mM"),
        (9.56e-6, "9.56 µM"),
        (9.996e-7, "1 µM"),
        (9.99e-7, "999 nM"),
        (3e-8, "30 nM"),
        (2.5e-10, "250 pM"),
        (0.0, "0 pM"),
    ],
)
def test_doses_have_the_unit_that_suits_them_as_everywhere_else(molar, words):
    assert format_dose(molar) == conditions.format_dose(molar) == words
