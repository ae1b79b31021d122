from __future__ import annotations

import numpy as np
import pytest
import tifffile

from imaging_service.errors import ScanError
from imaging_service.ingest import plan_scan
from imaging_service.protocol import Acquisition

PLANE = np.arange(48, dtype=np.uint16).reshape(6, 8)


def tiffs(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, PLANE)
    return folder


def test_unknown_folders_readers_and_patterns(tmp_path):
    with pytest.raises(ScanError, match="is not a folder"):
        plan_scan(tmp_path / "none", Acquisition())
    with pytest.raises(
        ScanError, match=r"no reader knows the folder .*readers: harmony, ome-zarr, tiff"
    ):
        plan_scan(tmp_path, Acquisition())
    tiffs(tmp_path, "whatever.tif")
    with pytest.raises(ScanError, match="unknown reader 'czi'; known: harmony"):
        plan_scan(tmp_path, Acquisition(reader="czi"))
    with pytest.raises(ScanError, match="fits imagexpress; the first is called whatever.tif"):
        plan_scan(tmp_path, Acquisition(file_pattern="imagexpress", reader="tiff"))
    with pytest.raises(ScanError, match="unknown file_pattern 'opera'; shipped: imagexpress"):
        plan_scan(tmp_path, Acquisition(file_pattern="opera", reader="tiff"))
