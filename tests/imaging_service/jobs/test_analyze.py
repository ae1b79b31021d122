"""The whole way from a folder of images to tables and report, on the small phantom plate."""

from __future__ import annotations

import json
import shutil
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import active_children, get_context

import numpy as np
import polars as pl
import pytest
import tifffile
import zarr

from imaging_service.errors import Forbidden, ScanError
from imaging_service.files import only_one
from imaging_service.jobs import analyze as module
from imaging_service.jobs.analyze import analyze
from imaging_service.jobs.plan import identify, read_inputs
from imaging_service.jobs.records import Calibration, load
from imaging_service.jobs.summary import TABLES
from imaging_service.protocol import load_protocol, parse_protocol
from imaging_service.store.arrival import read_arrival
from phenotypes.columns.dictionary import columns
from plate_maps import Well
from tests.imaging_service.conftest import analyse_here
from tests.messages import says, states


def table(folder, name):
    return pl.read_parquet(folder / f"{name}.parquet")


def test_everything_that_was_promised_is_there(analysed):
    for name in ("plate.zarr", "labels.zarr"):
        assert (analysed / name).is_dir()
    for name in (
        "cells.parquet",
        "wells.parquet",
        "wells.csv",
        "responses.parquet",
        "responses.csv",
        "run.json",
        "report.html",
    ):
        assert (analysed / name).stat().st_size > 100
    for name, level in (
        ("cells", "cell"),
        ("fields", "field"),
        ("wells", "well"),
        ("responses", "response"),
        ("quality", "quality"),
    ):
        assert table(analysed, name).columns == list(columns(level))
    hours = table(analysed, "fields")["exposed_h"]
    assert hours.min() == 0  # the plate's first image: no date reaches a table
    assert 0.1 < hours.max() < 24


def test_wells_agree_with_the_truth(analysed, phantom_plate):
    wells = table(analysed, "wells")
    assert len(wells) == 24
    assert set(wells["status"]) == {"done"}
    nuclei = pl.read_parquet(phantom_plate / "truth" / "nuclei.parquet")
    neurites = pl.read_parquet(phantom_plate / "truth" / "neurites.parquet")
    true = (
        nuclei.group_by("well")
        .agg(
            pl.len().alias("true_nuclei"),
            pl.col("is_neuron").sum().alias("true_neurons"),
            pl.col("nc_log2").mean().alias("true_nc"),
        )
        .join(
            neurites.group_by("well").agg(pl.col("length_um").sum().alias("true_length")), on="well"
        )
    )
    both = wells.join(true, on="well")
    assert (both["nuclei_count"] - both["true_nuclei"]).abs().max() <= 3
    assert (both["neuron_count"] - both["true_neurons"]).abs().max() <= 3
    with_ratio = both.drop_nulls("nc_log2_aggregate")
    assert len(with_ratio) >= 12
    assert (with_ratio["nc_log2_aggregate"] - with_ratio["true_nc"]).abs().max() < 0.1
    ratio = both["neurite_length_total"] / both["true_length"]
    assert 0.85 < ratio.median() < 1.05  # overlapping neurites are seen once
    assert np.corrcoef(both["neurite_length_total"], both["true_length"])[0, 1] > 0.97


def test_the_record_repeats_the_run(analysed, phantom_inputs):
    record = json.loads((analysed / "run.json").read_text())
    assert record["run_id"] == identify(phantom_inputs)[0].run_id
    assert record["engine"]["engine"] == "classical"
    assert record["calibration"]["thresholds"]["nuclei_floor"] > 0
    assert len(record["source_files"]) == 24 * 2 * 3
    assert all(len(digest) == 64 for digest in record["source_files"].values())
    assert record["inputs"]["protocol"]["channels"] == {
        "dna": "1",
        "neurite": "2",
        "aggregate": "3",
    }
    assert record["packages"]["numpy"]


def test_labels_overlay_the_pixels_and_link_to_cells(analysed):
    cells = table(analysed, "cells")
    name = cells["well"][0]
    well = Well.parse(name)
    path = f"{name[0]}/{well.column}/0"
    nuclei = zarr.open_group(analysed / "labels.zarr" / path / "labels" / "nuclei", mode="r")["0"][
        ...
    ]
    pixels = zarr.open_group(analysed / "plate.zarr" / path, mode="r")["0"][...]
    assert nuclei.shape == pixels.shape[1:]
    own = cells.filter((pl.col("well") == name) & (pl.col("field") == 1))
    assert own["label"].to_list() == list(range(1, nuclei.max() + 1))
    assert pixels[0][nuclei > 0].mean() > 2 * pixels[0][nuclei == 0].mean()


@pytest.mark.slow
def test_one_worker_gives_byte_equal_tables(analysed, phantom_inputs, tmp_path):
    analyze(lambda: phantom_inputs, tmp_path, workers=1)
    for name in TABLES:
        assert (tmp_path / f"{name}.parquet").read_bytes() == (
            analysed / f"{name}.parquet"
        ).read_bytes(), name


def test_a_run_goes_on_where_it_stopped(analysed, phantom_inputs, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(analysed, out)
    ended = sorted((out / "work" / "outcomes").iterdir())
    for path in ended[:2]:
        path.unlink()
    (out / "responses.parquet").unlink()
    again = []
    analyze(
        lambda: phantom_inputs,
        out,
        workers=1,
        progress=lambda outcome, *_: again.append(outcome.well),
    )
    assert sorted(again) == [p.stem for p in ended[:2]]
    assert (out / "responses.parquet").read_bytes() == (analysed / "responses.parquet").read_bytes()


def test_another_run_does_not_overwrite_a_folder(analysed, phantom_inputs):
    other = replace(
        phantom_inputs, protocol=phantom_inputs.protocol.model_copy(update={"name": "other"})
    )
    with pytest.raises(ScanError, match=says("analyze.folder_of_another_run")):
        analyze(lambda: other, analysed)


def test_a_refusal_ends_no_process_of_its_caller(phantom_inputs, tmp_path):
    """As the readers of requests in a server, or a pool of a notebook."""
    process = get_context("spawn").Process(target=time.sleep, args=(600,), daemon=True)
    process.start()
    before = active_children()

    def refuse():
        raise ScanError("no plate")

    with pytest.raises(ScanError):
        analyze(refuse, tmp_path, workers=1)
    process.join(1)
    assert process.is_alive()
    for started in active_children():
        if started not in before:
            started.join(120)
            assert not started.is_alive()
    process.kill()
    process.join()


def test_two_commands_cannot_write_to_one_folder(phantom_inputs, tmp_path):
    with only_one(tmp_path), pytest.raises(Forbidden, match=says("files.folder_in_use")):
        analyze(lambda: phantom_inputs, tmp_path)


@pytest.fixture(scope="module")
def broken(phantom_plate, tmp_path_factory):
    """The plate with one file lost, one cut short, one blank, one of another size, and one well not
    scanned.
    """
    folder = tmp_path_factory.mktemp("broken")
    shutil.copytree(phantom_plate, folder / "p")
    scan = folder / "p" / "Phantom-1" / "TimePoint_1"
    names = sorted({p.name.split("_")[1] for p in scan.iterdir()})
    vehicles = [
        row.split(",")[0]
        for row in (folder / "p" / "plate_map.csv").read_text().splitlines()
        if ",vehicle," in row
    ]
    lost, cut, blank, odd, gone = [n for n in names if n not in vehicles][:5]
    (scan / f"Phantom-1_{lost}_s2_w2.tif").unlink()
    content = (scan / f"Phantom-1_{cut}_s1_w1.tif").read_bytes()
    (scan / f"Phantom-1_{cut}_s1_w1.tif").write_bytes(content[: len(content) // 2])
    tifffile.imwrite(scan / f"Phantom-1_{blank}_s1_w3.tif", np.zeros((320, 320), np.uint16))
    tifffile.imwrite(scan / f"Phantom-1_{odd}_s1_w1.tif", np.ones((100, 100), np.uint16))
    for path in scan.glob(f"Phantom-1_{gone}_*"):
        path.unlink()
    out = folder / "out"
    protocol = load_protocol(folder / "p" / "protocol.toml")
    inputs = read_inputs(
        folder / "p" / "Phantom-1", folder / "p" / "plate_map.csv", protocol, None, "auto"
    )
    analyse_here(inputs, out)
    return out, {"lost": lost, "cut": cut, "blank": blank, "odd": odd, "gone": gone}


@pytest.mark.parametrize(
    ("kind", "status", "sentence"),
    [
        ("lost", "failed", "field 2: the image of channel '2' is missing"),
        ("cut", "failed", "cut short|cannot be read"),
        ("blank", "failed", "the image is blank"),
        ("odd", "failed", "channels differ in size"),
        ("gone", "skipped", "in the plate map, but not in the scan"),
    ],
)
def test_bad_data_fail_their_well_with_the_reason(broken, kind, status, sentence):
    out, wells = broken
    row = table(out, "wells").filter(pl.col("well") == wells[kind]).to_dicts()[0]
    assert row["status"] == status
    assert row["nuclei_count"] is None
    import re

    assert re.search(sentence, row["reason"])


def test_the_rest_of_a_broken_plate_is_the_same(broken, analysed):
    out, wells = broken
    rest = table(out, "cells")
    whole = table(analysed, "cells").filter(~pl.col("well").is_in(list(wells.values())))
    assert rest["well"].unique().sort().to_list() == whole["well"].unique().sort().to_list()
    assert len(table(out, "responses")) == len(table(analysed, "responses"))
    report = (out / "report.html").read_text()
    assert states("report.blank_image", report)
    assert states("report.well_not_scanned", report)


def test_a_lost_plane_of_a_stack_fails_its_well(tmp_path):
    scan = tmp_path / "scan"
    scan.mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128]
    # four nuclei
    nucleus = np.where(np.hypot(y % 64 - 32, x % 64 - 32) < 11, 900, 100)
    for well in ("B02", "B03"):
        for z in (1, 2, 3):
            tifffile.imwrite(
                scan / f"x_{well}_T0001F001L01A01Z0{z}C01.tif",
                rng.poisson(nucleus).astype(np.uint16),
            )
    (scan / "x_B03_T0001F001L01A01Z02C01.tif").unlink()
    (tmp_path / "map.csv").write_text(
        "well,line,compound,dose,unit,control\nB02,L1,,,,vehicle\nB03,L1,x,1,uM,\n"
    )
    protocol = parse_protocol(
        {"name": "p", "channels": {"dna": "1"}, "acquisition": {"pixel_size_um": 0.5}}, "p"
    )
    analyse_here(read_inputs(scan, tmp_path / "map.csv", protocol, None, "auto"), tmp_path / "out")
    wells = {r["well"]: r for r in table(tmp_path / "out", "wells").to_dicts()}
    assert wells["B02"]["status"] == "done"
    assert wells["B03"]["status"] == "failed"
    assert states(
        "scan.planes_missing", wells["B03"]["reason"], well="B03", field=1, channel=1, there=2, of=3
    )


def test_a_plate_of_which_nothing_can_be_read_still_ends_in_a_report(tmp_path):
    scan = tmp_path / "scan"
    scan.mkdir()
    for well in ("B02", "B03"):
        (scan / f"x_{well}_s1_w1.tif").write_bytes(b"broken")
    (tmp_path / "map.csv").write_text(
        "well,line,compound,dose,unit,control\nB02,L1,,,,vehicle\nB03,L1,x,1,uM,\n"
    )
    protocol = parse_protocol(
        {"name": "p", "channels": {"dna": "1"}, "acquisition": {"pixel_size_um": 0.5}}, "p"
    )
    analyse_here(read_inputs(scan, tmp_path / "map.csv", protocol, None, "auto"), tmp_path / "out")
    assert set(table(tmp_path / "out", "wells")["status"]) == {"failed"}
    assert set(table(tmp_path / "out", "responses")["status"]) == {"no_well_done"}
    assert states("report.failed", (tmp_path / "out" / "report.html").read_text(), wells=2)


class Pool:
    """Computes in this process; each call of a function that is named ends with an error."""

    def __init__(self, **errors):
        self.errors, self.called = errors, []

    def submit(self, function, *args):
        self.called.append(function.__name__)
        future = Future()
        if function.__name__ in self.errors:
            future.set_exception(self.errors[function.__name__])
        else:
            future.set_result(function(*args))
        return future

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def test_the_scan_is_looked_at_although_the_calibration_refuses_it(uncalibrated):
    folder, record = uncalibrated
    pool = Pool(calibrate=ScanError("too few fields"))
    with pytest.raises(ScanError, match=says("arrival.too_few")):
        module._prepare(pool, folder, record)
    assert pool.called == ["begin", "calibrate", "look_at", "look_at", "conclude"]
    assert len(read_arrival(folder.root).images) == 18


def test_a_process_that_is_killed_at_a_look_costs_no_plate(uncalibrated, monkeypatch):
    folder, record = uncalibrated
    killed = BrokenProcessPool("a process was terminated")
    single = Pool()
    monkeypatch.setattr(module, "_one_process", lambda: single)
    module._prepare(Pool(look_at=killed, calibrate=killed), folder, record)
    assert states("arrival.killed", read_arrival(folder.root))
    assert single.called == ["calibrate"]
    assert len(load(Calibration, folder.calibration).fields) == 3
