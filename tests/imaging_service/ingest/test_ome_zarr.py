from __future__ import annotations

import numpy as np
import pytest
import zarr

from imaging_service.ingest import plan_scan, reader_named
from imaging_service.ingest.contract import PlateReaderContract
from imaging_service.ingest.ome_zarr import OmeZarrReader
from imaging_service.ingest.plan import Limits
from imaging_service.protocol import Acquisition
from imaging_service.store import plates
from plate_maps import plate_format

PLANE = np.arange(48, dtype=np.uint16).reshape(6, 8)


class TestOmeZarrKeepsTheContract(PlateReaderContract):
    reader = OmeZarrReader()

    @pytest.fixture
    def scan(self, tmp_path_factory):
        root = tmp_path_factory.mktemp("z") / "plate.zarr"
        plates.begin_plate(root)
        plates.write_well(root / "B" / "3", [np.stack([PLANE, PLANE + 1])], ["a", "b"], ["dna", None], 0.5)
        plates.finish_plate(root, "p", plate_format(96))
        return root


def test_our_own_plates_are_scans_again(tmp_path):
    root = tmp_path / "plate.zarr"
    plates.begin_plate(root)
    plates.write_well(root / "B" / "3", [np.stack([PLANE, PLANE + 1])], ["w1", "w2"], ["dna", None], 0.5)
    plates.finish_plate(root, "p", plate_format(96))
    plan = plan_scan(root, Acquisition())
    assert plan.format == plate_format(96)
    assert plan.channels == ("dna (w1)", "w2")
    assert plan.pixel_size_um == 0.5
    assert (reader_named("ome-zarr").read(plan, plan.images[1], Limits()) == PLANE + 1).all()
    assert zarr.open_group(root, mode="r").attrs["ome"]["version"] == "0.5"
