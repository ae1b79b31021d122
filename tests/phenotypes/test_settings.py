"""Each setting changes the columns that it speaks of, and no other.

A drawn field, a plate of wells and some tracks are worked on with one setting changed at a time.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache

import cv2
import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from phenotypes.cells.measure import MeasureSettings, measure
from phenotypes.columns.dictionary import SHOLL_UM, conform
from phenotypes.films.deaths import DeathSettings, sensor_threshold, tracks_table
from phenotypes.films.registration import register, sharp_frames
from phenotypes.films.tracking import TrackSettings, link
from phenotypes.plates.calls import CallSettings, mark_mislocalised, mark_pyknotic
from phenotypes.plates.quality.checks import (
    exclude_unfocused,
    exclude_vehicle_outliers,
    mark_fields,
    plate_checks,
)
from phenotypes.plates.quality.limits import QualityLimits
from phenotypes.plates.responses import respond
from phenotypes.plates.review_queue import rank_fields
from phenotypes.plates.wells import WellSettings, well_table
from segmentation import Field, Segmentation

PX, SIDE = 0.325, 600
Outcome = dict[str, object]


def drawn() -> tuple[Field, Segmentation]:
    """Three neurons in 195 µm: one with neurites of several lengths, two that share one; beads and
    fragments.
    """

    def disc(image, y, x, radius, value):
        cv2.circle(image, (round(x / PX), round(y / PX)), round(radius / PX), value, -1)

    nuclei, somas = np.zeros((SIDE, SIDE), np.int32), np.zeros((SIDE, SIDE), np.int32)
    neurites = np.zeros((SIDE, SIDE), np.uint8)
    lines = [
        ((40, 40), (40, 170)),
        ((40, 40), (52.5, 40)),
        ((40, 40), (60, 40)),
        ((40, 40), (24, 40)),
        ((40, 100), (47, 100)),
        ((150, 40), (150, 80)),  # a side branch; one that two somas share
    ]
    for (y0, x0), (y1, x1) in lines:
        cv2.line(neurites, (round(x0 / PX), round(y0 / PX)), (round(x1 / PX), round(y1 / PX)), 1, 4)
    for x, radius in ((120, 1.5), (150, 2.5)):
        disc(neurites, 40, x, radius, 1)
    for x, radius in ((60, 2.0), (100, 3.2)):
        disc(neurites, 100, x, radius, 1)
    cv2.line(
        neurites, (round(130 / PX), round(100 / PX)), (round(138 / PX), round(100 / PX)), 1, 12
    )
    for label, (y, x) in enumerate(((40, 40), (150, 40), (150, 80)), start=1):
        disc(somas, y, x, 8, label)
        disc(nuclei, y, x, 4, label)
    neurites[somas > 0] = 0
    away = cv2.distanceTransform((nuclei == 0).astype(np.uint8), cv2.DIST_L2, 5) * PX
    noise = np.random.default_rng(0).normal(100, 2, (2, SIDE, SIDE))
    pixels = (
        noise + np.stack([300.0 * (nuclei > 0) + 30 * np.exp(-away / 3), 300 * np.exp(-away / 3)])
    ).astype(np.float32)
    labels = {"nuclei": nuclei, "somas": somas, "neurites": neurites.astype(np.int32)}
    return Field(pixels, ("dna", "aggregate"), PX), Segmentation(labels, "drawn")


@cache
def measured(settings: MeasureSettings) -> Outcome:
    result = measure(*DRAWN, settings)
    tables = {"cell": result.cells, "field": result.field}
    return {
        f"{level}.{c}": table[c].to_list() for level, table in tables.items() for c in table.columns
    }


DRAWN = drawn()
WELLS = [f"{row}{column:02d}" for row in "ABCD" for column in range(1, 7)]
CONDITIONS = pl.DataFrame(
    {
        "well": WELLS,
        "line": ["L"] * 24,
        "genotype": ["healthy"] * 24,
        "compound": ["DMSO"] * 12 + ["x"] * 12,
        "batch": ["b"] * 24,
        "dose_molar": [0.0] * 12 + [1e-8, 1e-7, 1e-6, 1e-5] * 3,
        "control": ["vehicle"] * 12 + ["none"] * 12,
    }
)


def cell_table() -> pl.DataFrame:
    """30 neurons per well, 60 in the first; areas, puncta and ratios spread over ranges."""
    counts = [60] + [30] * 23
    i = np.concatenate([np.arange(n) for n in counts])
    n = len(i)
    return conform(
        pl.DataFrame(
            {
                "well": np.repeat(WELLS, counts),
                "field": [1] * n,
                "label": i + 1,
                "touches_border": [False] * n,
                "is_neuron": [True] * n,
                "soma_area_um2": 45.0 + 10 * i,
                "puncta_count": (i % 6).astype(float),
                "primary_neurites": [3.0] * n,
                "nucleus_area_um2": np.where(i == 0, 55.0, np.where(i < 3, 45.0, 100.0)),
                "nucleus_mean_dna": np.where(i == 1, 1400.0, np.where(i < 3, 1600.0, 1000.0)),
                "nc_log2_aggregate": i / 30,
            }
        ),
        "cell",
    )


def field_table() -> pl.DataFrame:
    return conform(
        pl.DataFrame(
            {
                "well": WELLS,
                "field": [1] * 24,
                "frame": [1] * 24,
                "area_mm2": [0.5] * 24,
                "neurite_length_um": [1000.0] * 24,
                "attribution_conflict_fraction": [0.1, 0.25] * 12,
                "nuclei_count": [30] * 24,
                "valid": [True] * 24,
                "focus_dna": [-2.0] * 18 + [-2.45] + [-2.0] * 5,
                "saturated_dna": [0.0, 0.008] * 12,
                "uneven_dna": [0.0, 0.25] * 12,
                "debris_fraction": [0.0, 0.8] * 12,
                "confluence": [0.1, 0.5] * 12,
                "qc": [""] * 24,
                # It rises with the dose.
                "background_dna": [100.0 + 2 * (k % 3) for k in range(12)]
                + [101.0, 102.0, 105.0, 109.0] * 3,
            }
        ),
        "field",
    )


CELLS, FIELDS = cell_table(), field_table()
DONE = dict.fromkeys(WELLS, ("done", ""))


def counted(settings: WellSettings) -> Outcome:
    cells = CELLS.with_columns(pl.lit(value=False).alias("is_pyknotic"))
    wells = well_table(cells, FIELDS, CONDITIONS, DONE, settings)
    responses = respond(wells, ["primary_neurites_mean"], pixel_size_um=PX, settings=settings)
    queue = rank_fields(FIELDS, wells, responses.curves, [], settings)
    return {
        **{c: wells[c].to_list() for c in wells.columns},
        "response": responses.table.select("status", "reason").rows(),
        "queue": sorted(queue.select("well", "why").rows()),
    }


def called(settings: CallSettings) -> Outcome:
    pyknotic = mark_pyknotic(CELLS, CONDITIONS, settings)["is_pyknotic"]
    marked, reason = mark_mislocalised(CELLS, CONDITIONS, ["L"], settings)
    return {
        "is_pyknotic": pyknotic.sum(),
        "is_mislocalised": marked["is_mislocalised"].sum(),
        "reason": reason,
    }


def judged(limits: QualityLimits) -> Outcome:
    marked = mark_fields(FIELDS, CONDITIONS, limits)
    # One well of two fields, of which one is in focus.
    pair = pl.concat([FIELDS[18:19].with_columns(valid=pl.lit(value=v)) for v in (True, False)])
    density = [100.0 + 3 * (k % 3) for k in range(11)] + [127.0] + [100.0] * 12
    wells = conform(
        CONDITIONS.with_columns(
            status=pl.lit("done"), reason=pl.lit(""), live_density=pl.Series(density)
        ),
        "well",
    )
    checks = plate_checks(wells, FIELDS.with_columns(exposed_h=pl.Series(DRIFTING)), 4, 6, limits)
    return {
        "valid": marked["valid"].sum(),
        **{
            name: marked["qc"].str.contains(name).sum()
            for name in ("saturated", "unevenly", "debris", "confluent")
        },
        "outcome": exclude_unfocused(pair, DONE, limits)["D01"][0],
        "vehicles": exclude_vehicle_outliers(wells, limits)["status"].to_list(),
        "glowing": checks.filter(pl.col("check") == "autofluorescence")["status"].to_list(),
        "trends": (
            checks.filter(pl.col("check") != "autofluorescence")
            .select("check", "subject", "status")
            .rows()
        ),
    }


# Times of imaging that follow the vehicle wells' densities with a rank correlation of 0.60, p 0.04.
DRIFTING = [1.0, 0.0, 8.0, 2.0, 10.0, 9.0, 7.0, 6.0, 4.0, 3.0, 5.0, 11.0] + [
    12.0 + k for k in range(12)
]


def track(number: int, seen: list[int], **columns: list[float]) -> pl.DataFrame:
    n = len(seen)
    base = {
        "frame": seen,
        "y_um": [300.0] * n,
        "x_um": [300.0] * n,
        "track": [number] * n,
        "conflict": [False] * n,
        "soma_area_um2": [200.0] * n,
        "soma_form_factor": [0.6] * n,
        "sensor": [0.1] * n,
    }
    return pl.DataFrame(base | columns)


FRAMES = pl.DataFrame(
    {
        "frame": range(1, 9),
        "time_h": [12.0 * f for f in range(8)],
        "usable": [True] * 8,
        "drift_y_um": [0.0] * 8,
        "drift_x_um": [0.0] * 8,
        "turn_deg": [0.0] * 8,
    }
)
TRACKS = pl.concat(
    [
        track(1, [1, 2, 3, 4, 5, 6]),
        track(2, [1, 2, 3], x_um=[585.0 - 3] * 3),
        track(
            3,
            [1, 2, 3, 4],
            soma_form_factor=[0.5, 0.6, 0.88, 0.88],
            soma_area_um2=[200.0, 180, 130, 130],
        ),
        track(4, [1, 2, 3, 4], sensor=[0.1, 0.1, 0.9, 0.9], y_um=[300.0, 300, 306, 306]),
    ]
)


def died(settings: DeathSettings) -> Outcome:
    outcome: Outcome = {
        "threshold": (
            sensor_threshold(np.linspace(0, 0.1, 30), np.linspace(0.9, 1, 30), settings).threshold
        )
    }
    for definition in ("reporter_loss", "rounding", "gedi"):
        table = tracks_table(
            TRACKS, FRAMES, (600.0, 600.0), replace(settings, definition=definition), 0.5
        )
        outcome |= {
            f"{definition}.{row[0]}": row[1:]
            for row in table.select("track", "event", "reason").rows()
        }
    return outcome


def tracked(settings: TrackSettings) -> Outcome:
    rows = [(f, 100.0, 100.0 + 12 * (f == 2), 150.0) for f in (1, 2)] + [
        (f, 300.0, 300.0, 150.0) for f in (1, 2, 4)
    ]
    rows += [(3, 500.0, 500.0, 150.0), (4, 500.0, 500.0, 150.0)]
    merged = [
        (1, 100.0, 100.0, 150.0),
        (1, 112.0, 100.0, 150.0),
        (2, 104.0, 100.0, 225.0),
        (3, 104.0, 100.0, 225.0),
    ]
    tables = []
    for part in (rows, merged):
        table = pl.DataFrame(part, ["frame", "y_um", "x_um", "soma_area_um2"], orient="row")
        tables.append(
            link(
                table.with_columns(pl.int_range(1, pl.len() + 1).over("frame").alias("label")),
                settings,
            )
        )
    image = cv2.GaussianBlur(
        np.random.default_rng(0).normal(0, 1, (300, 300)).astype(np.float32), (0, 0), 3
    )
    shifted, no_cells = np.roll(image, 36, axis=0), [np.zeros((0, 2))] * 2
    return {
        "moved": tables[0].filter(pl.col("y_um") == 100.0)["track"].n_unique(),
        "missed": tables[0].filter(pl.col("y_um") == 300.0)["track"].n_unique(),
        "merged": tables[1]["conflict"].sum(),
        "placed": register([image, shifted], no_cells, [True, True], 1.0, settings).ok.tolist(),
        "sharp": sharp_frames([-2.0, -2.1, -2.6, -2.0, -2.2], settings),
    }


PER_SOMA = {
    f"cell.{name}"
    for name in (
        "neurite_length_um",
        "primary_neurites",
        "neurite_tips",
        "branch_points",
        "max_process_um",
        "mean_process_um",
        *(f"sholl_{r}um" for r in SHOLL_UM if r <= 150),
    )
}
# Means over the cells of a well that the plate above has.
MEANS = {
    "soma_area_mean",
    "nucleus_area_mean",
    "nucleus_mean_dna",
    "nc_log2_aggregate",
    "puncta_per_neuron",
    "puncta_positive_fraction",
    "puncta_many_fraction",
}
SIDE_BRANCHES = {
    "cell.branch_points",
    "cell.mean_process_um",
    "cell.neurite_length_um",
    "cell.neurite_tips",
    "field.attribution_conflict_fraction",
    "field.neurite_branch_points",
    "field.neurite_length_um",
    "field.neurite_straightness",
    "field.neurite_tips",
}
# Both levels are solved together: the ring also says how much cytoplasm blurs into the nucleus.
RATIOS = {
    f"cell.{name}_{role}"
    for name in ("nucleus_mean", "cytoplasm_mean", "nc_log2")
    for role in ("dna", "aggregate")
}
PRIMARY = {"cell.primary_neurites", "cell.mean_process_um"}
SINGLE = {"primary_neurites_mean", "mean_process_mean"}
# Class, setting, another value ► the outcomes that change.
CASES = [
    (MeasureSettings, "ring_um", 2.0, RATIOS),
    (MeasureSettings, "min_branch_um", 8.0, SIDE_BRANCHES),
    (MeasureSettings, "min_primary_um", 4.0, PRIMARY),
    (
        MeasureSettings,
        "primary_ring_um",
        12.0,
        PRIMARY | {"cell.max_process_um", "field.neurite_straightness"},
    ),
    (MeasureSettings, "bead_length_um", 2.0, {"field.neurite_beads"}),
    (MeasureSettings, "bead_width", 2.5, {"field.neurite_beads"}),
    (MeasureSettings, "fragment_area_um2", 20.0, {"field.neurite_fragment_um2"}),
    (MeasureSettings, "fragment_circularity", 0.85, {"field.neurite_fragment_um2"}),
    (MeasureSettings, "max_conflict", 0.01, PER_SOMA | {"field.warnings"}),
    (WellSettings, "max_conflict", 0.2, SINGLE | {"response", "queue"}),
    (
        WellSettings,
        "min_soma_area_um2",
        60.0,
        MEANS | {"live_count", "live_density", "survival_fixed"},
    ),
    (WellSettings, "many_puncta", 5, {"puncta_many_fraction"}),
    (WellSettings, "min_cells", 61, MEANS | SINGLE | {"neurite_length_per_neuron", "response"}),
    (WellSettings, "min_vehicle_wells", 13, {"response"}),
    (CallSettings, "pyknotic_area", 0.6, {"is_pyknotic"}),
    (CallSettings, "pyknotic_dna", 1.3, {"is_pyknotic"}),
    (CallSettings, "mislocalised_percentile", 10.0, {"is_mislocalised", "reason"}),
    (QualityLimits, "focus_z", 4.0, {"valid"}),
    (QualityLimits, "valid_fields", 0.6, {"outcome"}),
    (QualityLimits, "vehicle_z", 6.0, {"vehicles"}),
    (QualityLimits, "saturated", 0.005, {"saturated"}),
    (QualityLimits, "uneven", 0.2, {"unevenly"}),
    (QualityLimits, "debris", 0.5, {"debris"}),
    (QualityLimits, "confluence", 0.4, {"confluent"}),
    (QualityLimits, "trend_p", 0.5, {"trends"}),
    (QualityLimits, "autofluorescent_z", 2.0, {"glowing"}),
    (DeathSettings, "definition", "gedi", set()),
    (DeathSettings, "round_form_factor", 0.9, {"rounding.3"}),
    (DeathSettings, "round_area", 0.6, {"rounding.3"}),
    (DeathSettings, "edge_um", 20.0, {"reporter_loss.2", "rounding.2", "gedi.2"}),
    (DeathSettings, "jump_um", 5.0, {"gedi.4"}),
    (DeathSettings, "sensor_share", 0.5, {"threshold"}),
    (DeathSettings, "absent_frames", 3, {"reporter_loss.1"}),
    (TrackSettings, "max_move_um", 10.0, {"moved"}),
    (TrackSettings, "max_gap", 0, {"missed"}),
    (TrackSettings, "merged_growth", 1.6, {"merged"}),
    (TrackSettings, "max_drift", 0.1, {"placed"}),
    (TrackSettings, "blurred_slope", 0.4, {"sharp"}),
]
SCENES = {
    MeasureSettings: measured,
    WellSettings: counted,
    CallSettings: called,
    QualityLimits: judged,
    DeathSettings: died,
    TrackSettings: tracked,
}


def test_every_setting_has_a_case():
    assert sorted((kind.__name__, name) for kind, name, *_ in CASES) == sorted(
        (k.__name__, f.name) for k in SCENES for f in fields(k)
    )


@pytest.mark.parametrize(
    ("kind", "name", "value", "columns"), CASES, ids=[f"{k.__name__}.{n}" for k, n, *_ in CASES]
)
def test_a_setting_changes_its_own_columns(kind, name, value, columns):
    before, after = SCENES[kind](kind()), SCENES[kind](kind(**{name: value}))
    assert {c for c in before.keys() | after.keys() if before.get(c) != after.get(c)} == columns


@pytest.mark.parametrize(
    ("kind", "wrong"), [(k, {n: -1}) for k, n, *_ in CASES] + [(k, {"no_such": 1}) for k in SCENES]
)
def test_what_is_out_of_bounds_is_refused_wherever_settings_are_made(kind, wrong):
    with pytest.raises(ValidationError):
        kind(**wrong)


def test_a_refusal_names_the_limit_that_was_set():
    for settings, status, words in (
        (WellSettings(max_conflict=0.05), "attribution_conflict", "limit 5%"),
        (WellSettings(min_cells=61), "too_few_cells", "needs 61 cells"),
    ):
        cells = CELLS.with_columns(pl.lit(value=False).alias("is_pyknotic"))
        wells = well_table(cells, FIELDS, CONDITIONS, DONE, settings)
        row = respond(
            wells, ["primary_neurites_mean"], pixel_size_um=PX, settings=settings
        ).table.row(0, named=True)
        assert row["status"] == status
        assert words in row["reason"]
