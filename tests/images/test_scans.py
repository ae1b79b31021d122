"""Vendors' exports as the instruments wrote them; what needs no photograph is in
imaging_service/ingest/test_vendor_scans.py.
"""

from __future__ import annotations

import pytest

from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.plan import FindingKind, Limits
from imaging_service.protocol import Acquisition
from tests.vendor_scans import cellvoyager, foreign_plate, operetta, tiff_folder

pytestmark = pytest.mark.images


def remarks(plan):
    """Notes but those on overlaps: drawn images are smaller than the real ones."""
    overlaps = {f.message for f in plan.findings if f.kind == FindingKind.OVERLAP}
    return [note for note in plan.notes if note not in overlaps]


def test_operetta_pixels(shared_data):
    plan = plan_scan(shared_data / "vendor" / "operetta_v5" / "operetta_plate", Acquisition())
    assert reader_named("harmony").read(plan, plan.images[0], Limits()).max() == 47088


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("imagexpress_exported", "vendor/imagexpress/ImageXpress_exported/9987_Plate_3435"),
        ("imagexpress", "vendor/imagexpress/ImageXpress"),
    ],
)
def test_drawn_tiffs_are_planned_as_the_real_ones(shared_data, tmp_path, name, place):
    """Each image, its place and the time it was taken; the folder's name differs."""
    real, drawn = (
        plan_scan(shared_data / place, Acquisition()),
        plan_scan(tiff_folder(name, tmp_path), Acquisition()),
    )
    assert drawn.images == real.images
    assert (drawn.channels, drawn.pixel_size_um, remarks(drawn)) == (
        real.channels,
        real.pixel_size_um,
        remarks(real),
    )
    reader = reader_named("tiff")
    assert [reader.exposed_s(drawn, i) for i in drawn.images] == [
        reader.exposed_s(real, i) for i in real.images
    ]


def test_drawn_plates_are_planned_as_the_real_ones(shared_data, tmp_path):
    measured = "CV8000-Minimal-DataSet-2C-3W-4S-FP2-stack"
    pairs = [
        (
            cellvoyager("cellvoyager_cv8000", tmp_path, ["D08"]),
            f"vendor/cellvoyager/{measured}_20230918_135839/{measured}",
        ),
        (operetta(tmp_path), "vendor/operetta_v5/operetta_plate"),
        (foreign_plate("plate_ones_mip.zarr", tmp_path, value=1), "omezarr/plate_ones_mip.zarr"),
        (foreign_plate("hcs_example.ome.zarr", tmp_path), "omezarr/hcs_example.ome.zarr"),
    ]
    for folder, place in pairs:
        drawn, real = (
            plan_scan(folder, Acquisition()),
            plan_scan(shared_data / place, Acquisition()),
        )
        assert (drawn.name, drawn.format, drawn.images, drawn.missing) == (
            real.name,
            real.format,
            real.images,
            real.missing,
        )
        assert (drawn.channels, drawn.pixel_size_um, remarks(drawn)) == (
            real.channels,
            real.pixel_size_um,
            remarks(real),
        )
