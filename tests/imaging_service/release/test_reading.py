from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys

import pytest
import zarr
from polars.testing import assert_frame_equal

from imaging_service.errors import ScreenError
from imaging_service.release.reading import add_bundle, is_bundle
from imaging_service.review.local import LocalRun
from imaging_service.screens.folder import TABLES, fit, read_screen_table
from imaging_service.store.tables import read_table
from napari_plugin.session import ReviewSession
from tests.messages import says
from tests.rscript import rscript


def test_a_bundle_reads_back_to_the_same_rows(released, tmp_path):
    assert is_bundle(released.bundle)
    assert not is_bundle(released.bundle / "plates")
    added = add_bundle(tmp_path / "screen", released.bundle)
    assert len(added) == 3
    fit(tmp_path / "screen")
    for name in TABLES:
        ours = read_table(released.bundle / "tables" / f"{name}.parquet")
        again = read_screen_table(tmp_path / "screen", name)
        left_out = ["stable"] if name == "compounds" else []
        # Names of a release are drawn at random, and sums over batches are in the order of names.
        assert_frame_equal(again.drop(left_out), ours.drop(left_out), rel_tol=1e-12, abs_tol=0)
    with pytest.raises(ScreenError, match=says("release.screen_there_already")):
        add_bundle(tmp_path / "screen", released.bundle)


def test_a_stranger_computes_an_ec50_with_public_tools_alone(released, repository):
    program = repository / "examples" / "release" / "ec50.py"
    done = subprocess.run(
        [sys.executable, "-I", str(program), str(released.bundle)],
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    rows = csv.DictReader(
        (released.bundle / "tables" / "responses.tsv").read_text(encoding="utf-8").splitlines(),
        delimiter="\t",
    )
    (ours,) = [
        r
        for r in rows
        if (r["line"], r["compound"], r["phenotype"])
        == (answer["line"], answer["compound"], answer["phenotype"])
    ]
    assert ours["curve_status"] == "ok"
    assert answer["ec50_molar"] == pytest.approx(float(ours["ec50_molar"]), rel=0.1)
    assert answer["image_shape"] == [2, 24, 16]
    assert answer["labels"] == ["nuclei"]


def test_the_readme_of_a_bundle_says_how_to_compute_an_ec50(released):
    text = (released.bundle / "README.md").read_text(encoding="utf-8")
    program, image = re.findall(r"```python\n(.*?)```", text, re.S)
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", program],
        cwd=released.bundle,
        capture_output=True,
        text=True,
        check=True,
    )
    here, theirs = re.fullmatch(
        r"EC50 here (\S+) mol/L; in tables/responses.tsv (\S+)", done.stdout.splitlines()[1]
    ).groups()
    # Their curve has a base for each of the three batches.
    assert float(here) == pytest.approx(float(theirs), rel=0.02)
    (store,) = released.bundle.glob("plates/*/plate.zarr")
    place = re.search(r'"plates/PLATE/plate.zarr/B/4/(\S+)"', image)[1]
    assert zarr.open_array(store / "A" / "1" / place, mode="r").shape == (2, 24, 16)


def test_a_stranger_computes_it_in_r_as_well_and_reads_every_table(released, repository):
    program = repository / "examples" / "release" / "ec50.R"
    done = subprocess.run(
        [rscript(), str(program), str(released.bundle)],
        env=os.environ | {"LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
    )
    sizes = {}
    for path in released.bundle.rglob("*.tsv"):
        header, *rows = csv.reader(path.read_text("utf-8").splitlines(), delimiter="\t")
        sizes[path.relative_to(released.bundle).as_posix()] = (len(rows), len(header))
    printed = re.findall(r"^(\S+) : (\d+) rows, (\d+) columns$", done.stdout, re.M)
    assert {name: (int(rows), int(columns)) for name, rows, columns in printed} == sizes
    numbers = {
        name: (float(theirs), float(anew))
        for name, theirs, anew in re.findall(r"^(\w+) +(\S+) +(\S+)$", done.stdout, re.M)
    }
    assert list(numbers) == ["ec50_molar", "hill", "e0"]
    # Two ways to the same least squares: nls, and a grid that is refined.
    for theirs, anew in numbers.values():
        assert anew == pytest.approx(theirs, rel=3e-4)


def test_a_plate_opens_where_runs_are_reviewed(released):
    (store,) = released.bundle.glob("plates/*/plate.zarr")
    run = LocalRun(store.parent)
    field = run.read_field("A01", 2)
    assert (field.roles, field.labels["nuclei"].shape) == (("dna", "neurite"), (24, 16))
    assert len(run.wells()) == 240
    session = ReviewSession.open(store.parent)
    try:
        session.go_to("A02")
        assert session.image().labels["nuclei"].shape == (24, 16)
    finally:
        session.close()


def test_images_open_in_ngio(released):
    from ngio import open_ome_zarr_plate

    (store,) = released.bundle.glob("plates/*/plate.zarr")
    plate = open_ome_zarr_plate(store)
    assert plate.wells_paths() == ["A/1", "A/2"]
    image = plate.get_image(row="A", column="1", image_path="0")
    assert image.get_image().get_as_numpy().shape == (2, 24, 16)
