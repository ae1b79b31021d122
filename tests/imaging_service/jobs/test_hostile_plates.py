"""Plates whose vehicle wells hold nothing, or that have none: from scan to tables."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import tifffile

from imaging_service.jobs.calibrate import calibrate
from imaging_service.jobs.plan import identify, lay_out, read_inputs
from imaging_service.jobs.records import RunFolder
from imaging_service.jobs.summary import summarise
from imaging_service.jobs.well import begin, process_well
from imaging_service.protocol import parse_protocol
from tests import drawn

SHAPE = (256, 256)
VEHICLES = [f"B{c:02d}" for c in range(2, 10)]
TREATED = ["C02", "C03"]
SIZE = {"axes": "YX", "PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}
CHANNELS = {"dna": "1", "neurite": "2", "aggregate": "3"}


def pixels(well, how=""):
    seed = [*VEHICLES, *TREATED].index(well)
    if how == "blank":
        return np.full((3, *SHAPE), 300, np.uint16)
    if how == "dark":
        return drawn.dark(SHAPE, seed).pixels
    density = 0 if how == "empty" else 900 if well != "C03" else 450
    return drawn.culture(SHAPE, per_mm2=density, seed=seed).photograph(seed).pixels


def analysed(folder, *, spoilt=(), how="", control="vehicle", channels=CHANNELS):
    """Well table and response table of a plate of ten wells."""
    scan = folder / "P1"
    scan.mkdir(parents=True)
    for well in (*VEHICLES, *TREATED):
        planes = pixels(well, how if well in spoilt else "")
        for number in channels.values():
            path = scan / f"p_{well}_s1_w{number}.tif"
            tifffile.imwrite(path, planes[int(number) - 1], ome=True, metadata=SIZE)
    solvent = "DMSO,," if control else "y,5,uM"
    rows = [f"{w},L1,healthy,{solvent},{control}" for w in VEHICLES]
    rows += [f"{w},L1,healthy,x,{n},uM," for n, w in enumerate(TREATED, start=1)]
    header = "well,line,genotype,compound,dose,unit,control"
    (folder / "map.csv").write_text("\n".join([header, *rows]) + "\n")
    protocol = parse_protocol(
        {
            "name": "hostile",
            "channels": channels,
            "segmentation": {"engine": "classical"},
            "response": {"phenotypes": ["live_density"]},
        },
        "hostile",
    )
    run = RunFolder(folder / "run")
    inputs = read_inputs(scan, folder / "map.csv", protocol, None, "cpu")
    record = lay_out(*identify(inputs), run)
    begin(record.plate)
    calibrate(run)
    summarise(run.root, {name: process_well(run.root, name) for name in record.wells})
    return pl.read_parquet(run.root / "wells.parquet"), pl.read_parquet(
        run.root / "responses.parquet"
    )


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    return analysed(tmp_path_factory.mktemp("healthy"))[0]


@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        ("blank", "failed", "the image is blank"),
        ("dark", "failed", "it was never exposed"),
        ("empty", "excluded", "vehicle_empty: 0 live cells per mm²"),
    ],
)
def test_five_of_eight_vehicle_wells_that_hold_nothing_move_no_other_well(
    tmp_path, healthy, how, status, reason
):
    spoilt = VEHICLES[1:6]
    wells, _ = analysed(tmp_path, spoilt=spoilt, how=how)
    lost = wells.filter(pl.col("well").is_in(spoilt))
    assert lost["status"].to_list() == [status] * 5
    assert all(reason in words for words in lost["reason"])
    kept, same = (t.filter(~pl.col("well").is_in(spoilt)) for t in (wells, healthy))
    assert kept["status"].to_list() == ["done"] * 5
    for name in ("nuclei_count", "neuron_count", "live_density"):
        assert kept[name].to_list() == pytest.approx(same[name].to_list(), rel=0.03), name
    for name in ("nc_log2_aggregate", "survival_fixed"):
        assert kept[name].to_list() == pytest.approx(same[name].to_list(), abs=0.03), name
    lengths = same["neurite_length_total"].to_list()
    assert kept["neurite_length_total"].to_list() == pytest.approx(lengths, rel=0.03)
    assert kept.filter(pl.col("well") == "C03")["survival_fixed"][0] == pytest.approx(0.5, abs=0.1)


def test_a_plate_without_a_vehicle_is_counted_and_its_responses_are_withheld(tmp_path, healthy):
    wells, responses = analysed(tmp_path, control="")
    assert wells["status"].to_list() == ["done"] * 10
    assert wells["nuclei_count"].to_list() == healthy["nuclei_count"].to_list()
    assert wells["survival_fixed"].null_count() == 10
    assert set(responses["status"]) == {"no_vehicle"}


@pytest.mark.parametrize("control", ["vehicle", ""])
def test_a_live_reporter_at_one_time_point_is_analysed(tmp_path, healthy, control):
    wells, responses = analysed(tmp_path, control=control, channels={"neurite": "2"})
    assert wells["status"].to_list() == ["done"] * 10
    counts = healthy["neuron_count"].to_list()
    assert wells["live_count"].to_list() == pytest.approx(counts, rel=0.05)
    expected = "too_few_doses" if control else "no_vehicle"
    assert set(responses["status"]) == {expected}
