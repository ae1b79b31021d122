from __future__ import annotations

import numpy as np
import zarr

from imaging_service.store import plates
from imaging_service.store.folders import staged
from imaging_service.store.labels import LabelWriter, read_labels
from plate_maps import Well

RNG = np.random.default_rng(0)


LABELS = {"nuclei": RNG.integers(0, 9, (1300, 700)).astype(np.int32)}


WELL = Well(2, 3)


def test_labels_come_back_and_are_valid_label_images(tmp_path):
    from ome_zarr_models.v05 import ImageLabel

    root = tmp_path / "labels.zarr"
    with staged(root / plates.well_path(WELL)) as scratch:
        writer = LabelWriter(scratch, 0.325, version=1)
        writer.write(1, LABELS)
        writer.finish()
    assert np.array_equal(read_labels(root, WELL, 1)["nuclei"], LABELS["nuclei"])
    ImageLabel.from_zarr(zarr.open_group(root / "B/3/0/labels/nuclei", mode="r"))
    coarse = zarr.open_group(root / "B/3/0/labels/nuclei", mode="r")["1"][...]
    assert set(np.unique(coarse)) <= set(np.unique(LABELS["nuclei"]))
