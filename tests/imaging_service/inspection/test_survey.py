"""What a scan holds, and what of it is missing."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from imaging_service.errors import ScanError
from imaging_service.ingest.plan import ImageRef, PlatePlan
from imaging_service.inspection import survey as module
from imaging_service.inspection.survey import survey
from imaging_service.protocol import Acquisition
from plate_maps import Well
from tests.messages import says, states

SIZE = {"axes": "YX", "PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}


def draw(folder, names, size=SIZE):
    folder.mkdir(exist_ok=True)
    for name in names:
        tifffile.imwrite(
            folder / name, np.zeros((16, 16), np.uint16), ome=size is not None, metadata=size
        )
    return folder


def names(wells=("B02", "C05"), fields=(1, 2), channels=(1, 2)):
    return [f"p_{w}_s{f}_w{c}.tif" for w in wells for f in fields for c in channels]


@pytest.fixture
def scan(tmp_path):
    return draw(tmp_path / "Plate-7", names())


def test_a_whole_scan_is_counted(scan):
    seen = survey(scan)
    assert (seen.wells, seen.fields, seen.planes, seen.times) == (2, 2, 1, (1,))
    assert [(c.number, c.name, c.planes, c.images) for c in seen.channels] == [
        (1, "1", 1, 4),
        (2, "2", 1, 4),
    ]
    assert (seen.images, seen.files, seen.missing) == (8, 8, 0)
    assert seen.bytes == sum(p.stat().st_size for p in scan.iterdir())
    assert seen.present == {Well(2, 2): 1.0, Well(3, 5): 1.0}
    assert str(seen.format) == "24-well (4 × 6)"
    assert seen.plan.pixel_size_um == 0.65
    assert seen.can_be_analysed


def test_what_is_missing_is_counted_by_well(scan):
    (scan / "p_C05_s2_w1.tif").unlink()
    (scan / "p_C05_s2_w2.tif").unlink()
    (scan / "p_B02_s1_w2.tif").unlink()
    seen = survey(scan)
    assert seen.present == {Well(2, 2): 0.75, Well(3, 5): 0.5}
    assert (seen.images, seen.missing, seen.wells) == (5, 3, 2)
    assert seen.can_be_analysed


def test_a_stray_channel_makes_no_other_well_incomplete(scan):
    draw(scan, ["p_B02_s1_w4.tif"])
    seen = survey(scan)
    assert (set(seen.present.values()), seen.missing) == ({1.0}, 0)
    assert [(c.name, c.images) for c in seen.channels] == [
        ("1", 4),
        ("2", 4),
        ("3", 0),  # numbers of channels are kept
        ("4", 1),
    ]


def test_a_stack_of_one_channel_counts_its_planes(tmp_path):
    folder = tmp_path / "stacks"
    for z in (1, 2, 3):
        draw_in = folder / f"ZStep_{z}"
        draw_in.mkdir(parents=True)
        draw(draw_in, names(channels=(1,)))
    seen = survey(folder)
    assert (seen.planes, seen.missing, seen.images) == (3, 0, 12)
    (folder / "ZStep_2" / "p_B02_s1_w1.tif").unlink()
    seen = survey(folder)
    assert seen.present == {Well(2, 2): pytest.approx(5 / 6), Well(3, 5): 1.0}
    assert seen.missing == 1


def test_a_well_that_is_announced_and_absent_has_nothing(monkeypatch, tmp_path):
    (tmp_path / "a").touch()
    there = ImageRef(Well(1, 1), 1, 1, "dna", 1, "a")
    lost = ImageRef(Well(1, 2), 1, 1, "dna", 1, "b")
    plan = PlatePlan("harmony", "p", tmp_path, ("dna",), 0.5, None, (there,), missing=(lost,))
    monkeypatch.setattr(module, "plan_scan", lambda *_: plan)
    seen = survey(tmp_path)
    assert seen.present == {Well(1, 1): 1.0, Well(1, 2): 0.0}
    assert (seen.wells, seen.missing) == (1, 1)


def test_a_scan_of_which_nothing_is_there_cannot_be_analysed(monkeypatch, tmp_path):
    lost = ImageRef(Well(1, 2), 1, 1, "dna", 1, "b")
    plan = PlatePlan("harmony", "p", tmp_path, ("dna",), 0.5, None, (), missing=(lost,))
    monkeypatch.setattr(module, "plan_scan", lambda *_: plan)
    seen = survey(tmp_path)
    assert (seen.images, seen.wells, seen.bytes, seen.can_be_analysed) == (0, 0, 0, False)


def test_a_pixel_size_that_the_scan_does_not_carry_is_asked_for(tmp_path):
    scan = draw(tmp_path / "bare", names(), None)
    (need,) = survey(scan).needs
    assert states("inspect.pixel_size", need)
    assert survey(scan, Acquisition(pixel_size_um=0.5)).needs == ()


def test_several_time_points_are_asked_about(tmp_path):
    for t in (1, 2):
        (tmp_path / f"TimePoint_{t}").mkdir()
        draw(tmp_path / f"TimePoint_{t}", names())
    seen = survey(tmp_path)
    assert seen.times == (1, 2)
    assert states("inspect.time_points", seen.needs[0], count=2, first=1, last=2)
    assert survey(tmp_path, Acquisition(time_point=2)).needs == ()


def test_it_is_plain_json(scan):
    (scan / "p_C05_s2_w1.tif").unlink()
    content = json.loads(json.dumps(survey(scan).plain()))
    assert content["present"] == {"B02": 1.0, "C05": 0.75}
    assert (content["pixel_size_um"], content["plate_rows"], content["plate_columns"]) == (
        0.65,
        4,
        6,
    )
    (finding,) = content["findings"]
    assert content["notes"] == []  # the plan repeats its findings among its notes
    assert (finding["kind"], finding["wells"]) == ("lost", ["C05"])
    assert content["can_be_analysed"]


def test_a_folder_that_is_not_a_scan_is_refused(tmp_path):
    with pytest.raises(ScanError, match=says("inspect.no_reader")):
        survey(tmp_path)
