from __future__ import annotations

import polars as pl
import pytest

from phenotypes.columns.channels import details_of, levels_of
from phenotypes.columns.column import INTENSITY_ROLES
from phenotypes.columns.dictionary import columns, conform
from phenotypes.plates.judge import judge
from phenotypes.plates.quality.saturation import saturation_notes, withhold_saturated
from phenotypes.plates.responses import respond
from tests.messages import states

LIMIT = 0.01
SPOTS = [n for n in columns("cell") if n.startswith(("puncta_", "granule_", "manders_", "rim_"))]
LEVELS = [
    f"{level}_{role}"
    for level in ("soma_mean", "nucleus_mean", "nucleus_sum", "cytoplasm_mean", "nc_log2")
    for role in INTENSITY_ROLES
]


def one_cell_per_field(**saturated):
    """Two fields of which the second is clipped."""
    cells = conform(
        pl.DataFrame(
            {"well": ["B02"] * 2, "field": [1, 2], "frame": [1, 1], "label": [1, 1]}
            | {name: [1.0, 2.0] for name in (*LEVELS, *SPOTS, "nucleus_area_um2")}
        ),
        "cell",
    )
    fields = conform(
        pl.DataFrame(
            {"well": ["B02"] * 2, "field": [1, 2], "frame": [1, 1]}
            | {f"saturated_{role}": [0.0, share] for role, share in saturated.items()}
        ),
        "field",
    )
    return cells, fields


@pytest.mark.parametrize(
    ("role", "parts"),
    [
        ("dna", []),
        ("neurite", []),
        ("aggregate", ["puncta_", "manders_"]),
        ("granule", ["granule_", "manders_"]),
        ("envelope", ["rim_"]),
    ],
)
def test_a_clipped_channel_takes_its_own_numbers_with_it_and_no_other(role, parts):
    cells, fields = one_cell_per_field(**{role: 0.02})
    kept = withhold_saturated(cells, fields, LIMIT)
    lost = {n for n in LEVELS if n.endswith(f"_{role}")}
    lost |= {n for n in SPOTS if n.startswith(tuple(parts))}
    assert {c for c in kept.columns if kept[c][1] != cells[c][1]} == lost
    assert lost == {*levels_of(role), *details_of(role)}
    assert kept.row(0) == cells.row(0)


def test_a_share_at_the_limit_is_allowed_and_one_above_is_not():
    cells, fields = one_cell_per_field(aggregate=LIMIT)
    assert withhold_saturated(cells, fields, LIMIT).equals(cells)
    cells, fields = one_cell_per_field(aggregate=LIMIT + 1e-9)
    assert withhold_saturated(cells, fields, LIMIT)["nc_log2_aggregate"].to_list() == [1.0, None]


def test_two_clipped_channels_share_what_rests_on_both():
    cells, fields = one_cell_per_field(aggregate=0.02)
    fields = fields.with_columns(saturated_granule=pl.Series([0.02, 0.0]))
    kept = withhold_saturated(cells, fields, LIMIT)
    assert kept["manders_m1"].to_list() == [None, None]
    assert kept["puncta_count"].to_list() == [1.0, None]
    assert kept["granule_count"].to_list() == [None, 2.0]


def test_each_clipped_channel_is_named_with_its_fields_and_worst_share():
    _, fields = one_cell_per_field(dna=0.004, granule=0.03, aggregate=0.009)
    dna, granule = saturation_notes(fields, LIMIT)
    assert (dna["subject"], dna["value"], dna["n_wells"]) == ("dna", 0.004, 1)
    assert states("saturation.pyknosis", dna["reason"], fields=1)
    assert (granule["subject"], granule["value"], granule["status"]) == ("granule", 0.03, "warning")
    assert states("saturation.withheld", granule["reason"], fields=1, of=2)


WELLS = {f"{r}{c:02d}": "vehicle" if c <= 4 else "none" for r in "BC" for c in range(2, 8)}
CONDITIONS = pl.DataFrame(
    [
        {
            "well": w,
            "line": "HC",
            "genotype": "healthy",
            "compound": "DMSO" if c == "vehicle" else "x",
            "dose_molar": 0.0 if c == "vehicle" else 1e-6,
            "control": c,
            "batch": "b1",
        }
        for w, c in WELLS.items()
    ]
)
DONE = dict.fromkeys(WELLS, ("done", ""))


def plate(share, small_dna=None, clipped=("B05", "C06")):
    """Wells of 40 neurons; with `small_dna`, two more nuclei of a quarter of the area, no soma."""
    rows = [
        {
            "well": w,
            "field": 1,
            "frame": 1,
            "label": i + 1,
            "touches_border": False,
            "is_neuron": i < 40,
            "soma_area_um2": 200.0 if i < 40 else None,
            "nucleus_area_um2": 100.0 if i < 40 else 25.0,
            "nucleus_mean_dna": 1000.0 if i < 40 else small_dna,
            "nucleus_mean_aggregate": 500.0,
        }
        for w in WELLS
        for i in range(40 if small_dna is None else 42)
    ]
    fields = [
        {
            "well": w,
            "field": 1,
            "frame": 1,
            "area_mm2": 0.5,
            "focus_dna": -2.0,
            "nuclei_count": 42,
            "saturated_dna": share if w in clipped else 0.0,
        }
        for w in WELLS
    ]
    return conform(pl.DataFrame(rows), "cell"), conform(pl.DataFrame(fields), "field")


def test_small_nuclei_that_a_clipped_camera_may_have_dimmed_leave_pyknosis_unknown():
    """Even where their pixels are far below the limit's share; live neurons stay known."""
    cells, fields = plate(0.002, small_dna=1400.0)
    judged = judge(cells, fields, CONDITIONS, DONE, (8, 12))
    clipped = judged.wells.filter(pl.col("well").is_in(["B05", "C06"]))
    others = judged.wells.filter(~pl.col("well").is_in(["B05", "C06"]))
    assert clipped["pyknotic_fraction"].to_list() == [None, None]
    assert set(others["pyknotic_fraction"]) == {0.0}
    assert set(judged.wells["live_count"]) == set(judged.wells["neuron_count"]) == {40}
    assert clipped["nucleus_mean_dna"].to_list() == others["nucleus_mean_dna"].to_list()[:2]
    (note,) = judged.checks.filter(check="saturation").to_dicts()
    assert states("saturation.pyknosis", note["reason"], fields=2)
    assert judged.checks.filter(check="pyknosis").is_empty()


def test_bright_small_nuclei_are_pyknotic_however_clipped():
    cells, fields = plate(0.002, small_dna=1600.0)
    judged = judge(cells, fields, CONDITIONS, DONE, (8, 12))
    assert judged.wells["pyknotic_fraction"].to_list() == pytest.approx([2 / 42] * 12)


def test_a_neuron_that_may_be_pyknotic_leaves_the_live_ones_unknown():
    cells, fields = plate(0.002, small_dna=1400.0)
    soma = pl.when(pl.col("label") > 40).then(200.0).otherwise("soma_area_um2")
    cells = cells.with_columns(is_neuron=pl.lit(value=True), soma_area_um2=soma)
    judged = judge(cells, fields, CONDITIONS, DONE, (8, 12))
    clipped = pl.col("well").is_in(["B05", "C06"])
    assert judged.wells.filter(clipped)["live_count"].to_list() == [None, None]
    assert set(judged.wells.filter(~clipped)["live_count"]) == {42}


def test_responses_of_a_clipped_channel_say_where_to_look():
    cells, fields = plate(0.2, clipped=tuple(WELLS))
    judged = judge(cells, fields, CONDITIONS, DONE, (8, 12), phenotypes=["nucleus_mean_dna"])
    (row,) = respond(judged.wells, ["nucleus_mean_dna"], pixel_size_um=0.65).table.to_dicts()
    assert row["status"] == "not_measured"
    assert judged.checks.filter(check="saturation")["subject"].to_list() == ["dna"]
    assert states(
        "saturation.withheld",
        judged.checks.filter(check="saturation")["reason"][0],
        fields=12,
        of=12,
    )
    assert judged.fields["qc"].str.starts_with("saturated dna (0.2)").all()
