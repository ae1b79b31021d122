"""A run looks at the first field of each well, and bad data are rows with a reason."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from imaging_service.errors import Cancelled, Unavailable
from imaging_service.ingest.formats.tiff_folder import TiffFolderReader
from imaging_service.jobs.arrival import wells as module
from imaging_service.jobs.arrival.wells import look_at, seen
from imaging_service.jobs.plan import identify, lay_out
from imaging_service.jobs.records import RunFolder
from tests.messages import says, states

SIZE = {"axes": "YX", "PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}


@pytest.fixture
def begun(small_inputs, tmp_path):
    """A run over a copy of the scan, of which the wells B02 and B03 are left: (folder, scan)."""
    scan = tmp_path / "Small-1"
    scan.mkdir()
    for path in small_inputs.scan.glob("p_B0[23]_*"):
        shutil.copy(path, scan)
    folder = RunFolder(tmp_path / "run")
    lay_out(*identify(replace(small_inputs, scan=scan)), folder)
    return folder, scan


@pytest.fixture
def reads(monkeypatch):
    """Names of the images that are read, in order."""
    read: list[str] = []
    original = TiffFolderReader.read

    def counted(self, plan, image, limits):
        read.append(image.path)
        return original(self, plan, image, limits)

    monkeypatch.setattr(TiffFolderReader, "read", counted)
    return read


def test_each_channel_of_one_field_of_a_well_is_read_once(begun, reads):
    folder, _ = begun
    look_at(folder.root, ["B02", "B03"])
    assert reads == [f"p_{well}_s1_w{c}.tif" for well in ("B02", "B03") for c in (1, 2, 3)]
    look_at(folder.root, ["B02", "B03"])
    assert len(reads) == 6
    looked = seen(folder, "B03")
    assert [(r["well"], r["field"], r["channel"]) for r in looked.rows] == [
        ("B03", 1, channel) for channel in "123"
    ]
    assert [(name, p.shape) for name, p in looked.pictures.items()] == [
        (channel, (96, 96)) for channel in "123"
    ]


def test_a_look_after_a_kill_gives_the_same_bytes(begun):
    folder, _ = begun
    look_at(folder.root, ["B02", "B03"])
    before = [folder.look(well).read_bytes() for well in ("B02", "B03")]
    folder.look("B02").unlink()
    look_at(folder.root, ["B02", "B03"])
    assert [folder.look(well).read_bytes() for well in ("B02", "B03")] == before


def test_an_image_that_changed_since_it_was_submitted_is_unreadable(begun):
    folder, scan = begun
    tifffile.imwrite(scan / "p_B02_s1_w2.tif", np.full((160, 160), 7, np.uint16), metadata=None)
    look_at(folder.root, ["B02"])
    first, second, third = seen(folder, "B02").rows
    assert (second["status"], list(seen(folder, "B02").pictures)) == ("unreadable", ["1", "3"])
    assert states("arrival.changed", second["reason"], file="p_B02_s1_w2.tif")
    assert ("status" in first, "status" in third) == (False, False)


def test_a_damaged_image_is_its_own_and_the_other_channels_are_looked_at(small_inputs, tmp_path):
    scan = tmp_path / "Small-1"
    scan.mkdir()
    for path in small_inputs.scan.glob("p_B0[23]_*"):
        shutil.copy(path, scan)
    with (scan / "p_B02_s1_w1.tif").open("r+b") as file:
        file.truncate(5_000)
    folder = RunFolder(tmp_path / "run")
    lay_out(*identify(replace(small_inputs, scan=scan)), folder)
    look_at(folder.root, ["B02"])
    looked = seen(folder, "B02")
    assert [r.get("status") for r in looked.rows] == ["unreadable", None, None]
    assert sorted(looked.pictures) == ["2", "3"]


def test_a_blank_image_has_its_status_before_the_well_fails_by_it(begun, small_inputs, tmp_path):
    _, scan = begun
    blank = np.full((160, 160), 7, np.uint16)
    tifffile.imwrite(scan / "p_B02_s1_w2.tif", blank, ome=True, metadata=SIZE)
    folder = RunFolder(tmp_path / "again")
    lay_out(*identify(replace(small_inputs, scan=scan)), folder)
    look_at(folder.root, ["B02"])
    assert [r.get("status") for r in seen(folder, "B02").rows] == [None, "blank", None]


def test_a_scan_that_is_away_is_waited_for(begun):
    folder, scan = begun
    scan.rename(scan.with_name("elsewhere"))
    with pytest.raises(Unavailable, match=says("away.scan", path=scan)):
        look_at(folder.root, ["B02"])
    assert not folder.look("B02").exists()


def test_a_cancelled_run_is_looked_at_no_further(begun):
    folder, _ = begun
    folder.cancelled.touch()
    with pytest.raises(Cancelled, match=says("arrival.cancelled")):
        look_at(folder.root, ["B02"])


def test_a_fault_that_was_not_foreseen_is_the_reason_of_the_wells_images(begun, monkeypatch):
    folder, _ = begun

    def fault(*_):
        raise ZeroDivisionError("no such light")

    monkeypatch.setattr(module, "read_channel", fault)
    look_at(folder.root, ["B02"])
    rows = seen(folder, "B02").rows
    assert [(r["status"], r["reason"]) for r in rows] == [
        ("unreadable", "ZeroDivisionError: no such light")
    ] * 3


def test_a_well_of_which_nothing_is_there_has_a_row_per_channel(begun, monkeypatch):
    folder, _ = begun
    task = module.load(module.WellTask, folder.task("B02"))
    lost = tuple(replace(i, reason="objective crashed") for i in task.plan.images)
    plan = replace(task.plan, images=(), missing=lost)
    monkeypatch.setattr(module, "load", _loading(replace(task, plan=plan)))
    look_at(folder.root, ["B02"])
    rows = seen(folder, "B02").rows
    assert [(r["field"], r["channel"], r["status"]) for r in rows] == [
        (1, channel, "unreadable") for channel in "123"
    ]
    assert states("arrival.lost", rows[0]["reason"])
    assert seen(folder, "B02").pictures == {}


def _loading(task):
    original = module.load

    def load(kind, path: Path):
        return task if kind is module.WellTask else original(kind, path)

    return load
