"""Plates, labels and bundles as other projects' readers see them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imaging_service.files import staged
from imaging_service.ingest import plan_scan
from imaging_service.jobs.plan import identify, lay_out, read_inputs
from imaging_service.jobs.records import RunFolder, WellTask, load
from imaging_service.jobs.well import begin, convert_well
from imaging_service.protocol import Acquisition, parse_protocol
from imaging_service.review.log import GRAPH
from imaging_service.store import plates
from imaging_service.store.labels import LabelWriter, read_labels
from plate_maps import PlateFormat, Well
from tests.imaging_service.release.conftest import lab, released
from tests.vendor_scans import tiff_folder

__all__ = ["lab", "released"]
# ngio and ome-zarr-models are installed with this project, the others with the tools.
OURS = ["ngio", "ome_zarr_models"]
READERS = ["bioio", "iohub", "ome_zarr_py", "napari_ome_zarr", *OURS]
STITCHING = {"ome_zarr_py", "napari_ome_zarr"}
SHAPE, PX = (300, 280), 0.65
# Fields that overlap, so that their places are written with them.
CENTRES = {1: (150, 140), 2: (150, 380)}
PROTOCOL = {
    "name": "p",
    "channels": {"dna": "1"},
    "acquisition": {"time_point": 1},
    "segmentation": {"engine": "classical"},
}


def digest(pixels):
    array = np.ascontiguousarray(np.squeeze(pixels))
    return hashlib.sha256(f"{array.shape} {array.dtype} ".encode() + array.tobytes()).hexdigest()


def write_labels(folder, path, shapes, frames, px, centres):
    """Labels of a well as a run writes them; path ► digest."""
    rng, hours = np.random.default_rng(1), [6.0 * frame for frame in range(frames)]
    digests = {}
    with staged(folder / "labels.zarr" / path) as scratch:
        writer = LabelWriter(scratch, px, 1, frames, hours, centres)
        for field, shape in enumerate(shapes, start=1):
            drawn = {
                name: rng.integers(0, 70_000, (frames, *shape)).astype(np.int32)
                for name in ("nuclei", "somas", GRAPH)
            }
            for frame in range(frames):
                writer.write(field, {n: image[frame] for n, image in drawn.items()}, frame + 1)
            for name, image in drawn.items():
                digests[f"{path}/{field - 1}/labels/{name}"] = digest(image)
        writer.finish()
    return digests


def finish(folder):
    for store in ("plate.zarr", "labels.zarr"):
        plates.finish_plate(folder / store, "Plate 1", PlateFormat(8, 12))


def drawn_plate(folder, frames):
    """A plate of two wells and two fields that overlap; what a reader should see of it."""
    rng = np.random.default_rng(0)
    pixels, labels = {}, {}
    lead, hours = ((3,), ()) if frames == 1 else ((frames, 3), [6.0 * n for n in range(frames)])
    for store in ("plate.zarr", "labels.zarr"):
        plates.begin_plate(folder / store)
    for well in (Well(2, 3), Well(8, 12)):
        fields = [rng.poisson(300, (*lead, *SHAPE)).astype(np.uint16) for _ in range(2)]
        path, names = plates.well_path(well), ("w1", "w2", "w3")
        with staged(folder / "plate.zarr" / path) as scratch:
            plates.write_well(
                scratch, fields, names, ("dna", "neurite", None), PX, hours, well.name, CENTRES
            )
        pixels |= {f"{path}/{number}": digest(field) for number, field in enumerate(fields)}
        labels |= write_labels(folder, path, [SHAPE, SHAPE], frames, PX, CENTRES)
    finish(folder)
    return {
        "pixels": pixels,
        "labels": labels,
        "sizes": [[PX, PX]],
        "channels": [["dna (w1)", "neurite (w2)", "w3"]],
    }


def vendor_plate(folder):
    """A MetaXpress export as it is converted; what a reader should see of it."""
    scan, run = tiff_folder("imagexpress_exported", folder / "scan"), RunFolder(folder)
    wells = sorted({image.well.name for image in plan_scan(scan, Acquisition()).images})
    rows = [f"{well},L,x,vehicle\n" for well in wells]
    (folder / "map.csv").write_text("well,line,compound,control\n" + "".join(rows))
    inputs = read_inputs(scan, folder / "map.csv", parse_protocol(PROTOCOL, "p"), None, "cpu")
    record = lay_out(*identify(inputs), run)
    begin(record.plate)
    plates.begin_plate(folder / "labels.zarr")
    pixels, labels = {}, {}
    for name in record.wells:
        well, shapes = Well.parse(name), []
        path = plates.well_path(well)
        for number in range(convert_well(load(WellTask, run.task(name)))):
            field, _, px = plates.read_field(record.plate, well, number + 1)
            pixels[f"{path}/{number}"] = digest(field)
            shapes.append(field.shape[-2:])
        labels |= write_labels(folder, path, shapes, 1, px, {})
    finish(folder)
    return {
        "pixels": pixels,
        "labels": labels,
        "sizes": [[1.3672, 1.3672]],
        "channels": [["dna (DAPI)", "FITC"]],
    }


def bundled_plate(folder):
    """What a reader should see of a bundle's plate."""
    pixels, labels = {}, {}
    for well in (Well(1, 1), Well(1, 2)):
        for number in (0, 1):
            path = f"{plates.well_path(well)}/{number}"
            pixels[path] = digest(plates.read_field(folder / "plate.zarr", well, number + 1)[0])
            (nuclei,) = read_labels(folder / "labels.zarr", well, number + 1).values()
            labels[f"{path}/labels/nuclei"] = digest(nuclei)
    return {
        "pixels": pixels,
        "labels": labels,
        "sizes": [[PX, PX]],
        "channels": [["dna (DAPI)", "neurite (A488)"]],
    }


@pytest.fixture(scope="module")
def written(released, tmp_path_factory):
    """Folder ► what a reader should see there, of a plate, a film, a converted scan and a bundle."""
    root = tmp_path_factory.mktemp("written")
    (bundled,) = (store.parent for store in released.bundle.glob("plates/*/plate.zarr"))
    return {
        root / "fixed": drawn_plate(root / "fixed", 1),
        root / "film": drawn_plate(root / "film", 3),
        root / "vendor": vendor_plate(root / "vendor"),
        bundled: bundled_plate(bundled),
    }


@pytest.fixture(scope="module")
def opened(written, tool_python):
    """What a reader sees in each folder; it opens them once."""
    seen = {}

    def by(reader):
        if reader not in seen:
            python = sys.executable if reader in OURS else tool_python
            done = subprocess.run(
                [python, Path(__file__).with_name("opened.py"), reader, *written],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr[-3000:]
            seen[reader] = json.loads(done.stdout.splitlines()[-1])
        return seen[reader]

    return by


def first_fields(pixels):
    return {field: known for field, known in pixels.items() if field.endswith("/0")}


def shown(labels):
    """What a field of `labels.zarr` is as an image: its nuclei."""
    return {
        path.removesuffix("/labels/nuclei"): known
        for path, known in labels.items()
        if path.endswith("/labels/nuclei")
    }


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_sees_a_plate_as_it_was_written(written, opened, reader):
    for folder, expected in written.items():
        seen = opened(reader)[str(folder)]
        for part in ("pixels", "sizes", "channels"):
            assert seen[part] == expected[part], (folder.name, part)
        # A whole plate has each well's first field in its place.
        placed = first_fields(expected["pixels"]) if reader in STITCHING else None
        assert seen.get("stitched", {}).get("plate") == placed, folder.name


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_sees_labels_as_they_were_written_and_every_field_as_an_image(
    written, opened, reader
):
    for folder, expected in written.items():
        seen = opened(reader)[str(folder)]
        assert seen["labels"] == expected["labels"], folder.name
        assert seen["shown"] == shown(expected["labels"]), folder.name
        placed = first_fields(shown(expected["labels"])) if reader in STITCHING else None
        assert seen.get("stitched", {}).get("labels") == placed, folder.name


def test_bioio_takes_the_root_of_a_plate_for_an_image_without_scenes(written, opened):
    """Its scenes are the multiscales of one group; the group of a plate has none."""
    assert [opened("bioio")[str(folder)]["scenes"] for folder in written] == [[]] * len(written)
