from __future__ import annotations

import numpy as np
import pytest
import tifffile

from imaging_service.ingest import plan_scan
from imaging_service.ingest.plan import FindingKind
from imaging_service.protocol import Acquisition
from tests.messages import states

HTD = (
    '"HTSInfoFile", Version 1.0\n"TimePoints", 1\n"ZSeries", TRUE\n"ZSteps", 3\n"XWells", 12\n"YWells", 8\n'
    + "".join(
        f'"WellsSelection{r}", '
        + ", ".join("TRUE" if (r, c) == (2, 2) else "FALSE" for c in range(1, 13))
        + "\n"
        for r in range(1, 9)
    )
    + '"Sites", FALSE\n"Waves", TRUE\n"NWavelengths", 4\n'
    + "".join(f'"WaveName{n}", "wave {n}"\n' for n in range(1, 5))
    + '"EndFile"\n'
)


def scan(folder, **images):
    """ZStep (or "base") ► wave ► value of a plane of well B02."""
    for place, waves in images.items():
        for wave, value in waves.items():
            path = folder / ("" if place == "base" else place) / f"p_B02_s1_{wave}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(path, np.full((16, 16), value, np.uint16), description=place)
    return folder


def read(plan):
    """(channel, z) ► value."""
    return {(i.channel, i.z): int(tifffile.imread(plan.root / i.path).max()) for i in plan.images}


def test_a_channel_with_a_projection_only_keeps_its_number(tmp_path):
    stack = {"w1": 11, "w2": 12, "w4": 14}
    scan(
        tmp_path,
        base={"w1": 1, "w2": 2, "w3": 3},
        ZStep_1=stack,
        ZStep_2={w: v + 10 for w, v in stack.items()},
    )
    plan = plan_scan(tmp_path, Acquisition())
    assert plan.channels == ("1", "2", "3", "4")
    assert read(plan) == {
        ("1", 1): 11,
        ("1", 2): 21,
        ("2", 1): 12,
        ("2", 2): 22,
        ("3", 1): 3,
        ("4", 1): 14,
        ("4", 2): 24,
    }
    assert [i.channel for i in plan.projections] == ["1", "2"]
    assert any(states("stacks.no_planes", n, channel=3) for n in plan.notes)


def test_a_channel_without_z_beside_one_with_z_has_one_plane(tmp_path):
    plan = plan_scan(
        scan(tmp_path, base={"w2": 2}, ZStep_1={"w1": 11}, ZStep_2={"w1": 21}), Acquisition()
    )
    assert read(plan) == {("1", 1): 11, ("1", 2): 21, ("2", 1): 2}


def test_projections_copies_and_what_the_htd_announces(tmp_path):
    same = {"w2": 2, "w3": 3}
    scan(
        tmp_path, ZStep_0={"w1": 99, **same}, ZStep_1={"w1": 11, **same}, ZStep_2={"w1": 21, **same}
    )
    (tmp_path / "p.HTD").write_text(HTD)
    plan = plan_scan(tmp_path, Acquisition())
    assert plan.channels == ("wave 1", "wave 2", "wave 3", "wave 4")
    assert read(plan) == {("wave 1", 1): 11, ("wave 1", 2): 21, ("wave 2", 1): 2, ("wave 3", 1): 3}
    assert {i.path.split("/")[0] for i in plan.projections} == {"ZStep_0"}
    copied = [f.message for f in plan.findings if f.kind == FindingKind.COPIES]
    assert [
        states("stacks.taken_once", m, channel=f"wave {n}")
        for m, n in zip(copied, (2, 3), strict=True)
    ] == [True, True]
    assert any(states("losses.announced", n, what="planes", wanted=3, there=2) for n in plan.notes)
    assert any(
        states("losses.announced_channels", n, count=4, absent="'wave 4'") for n in plan.notes
    )


def test_planes_that_differ_are_no_copies(tmp_path):
    scan(tmp_path, ZStep_0={"w1": 9}, ZStep_1={"w1": 1}, ZStep_2={"w1": 2})
    assert read(plan_scan(tmp_path, Acquisition())) == {("1", 1): 1, ("1", 2): 2}


def test_projections_alone_are_the_images(tmp_path):
    plan = plan_scan(scan(tmp_path, ZStep_0={"w1": 9, "w2": 8}), Acquisition())
    assert read(plan) == {("1", 1): 9, ("2", 1): 8}


@pytest.mark.parametrize("name", ["p_B02_z0.tif", "p_B02_z00.tif"])
def test_other_names_count_planes_from_0(tmp_path, name):
    for n, path in enumerate((name, "p_B02_z1.tif")):
        tifffile.imwrite(tmp_path / path, np.full((16, 16), n + 1, np.uint16))
    assert read(plan_scan(tmp_path, Acquisition())) == {("1", 0): 1, ("1", 1): 2}


def test_copies_in_time_are_named(tmp_path):
    for time in (1, 2, 3):
        for wave, value in (("w1", time), ("w2", 7)):
            path = tmp_path / f"TimePoint_{time}" / f"p_B02_s1_{wave}.tif"
            path.parent.mkdir(exist_ok=True)
            tifffile.imwrite(path, np.full((16, 16), value, np.uint16), description=f"{time}")
    plan = plan_scan(tmp_path, Acquisition())
    assert len(plan.images) == 6
    copies = [f for f in plan.findings if f.kind == FindingKind.COPIES]
    for finding, time in zip(copies, (2, 3), strict=True):
        assert states("stacks.copies_in_time", finding.message, channel=2, count=1, time=time)
