from __future__ import annotations

import numpy as np
import pytest
import tifffile

from imaging_service.errors import ScanError
from imaging_service.ingest import plan_scan
from imaging_service.protocol import Acquisition
from tests.messages import says

PLANE = np.arange(48, dtype=np.uint16).reshape(6, 8)


def tiffs(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, PLANE)
    return folder


def test_unknown_folders_readers_and_patterns(tmp_path):
    with pytest.raises(ScanError, match=says("readers.not_a_folder")):
        plan_scan(tmp_path / "none", Acquisition())
    with pytest.raises(ScanError, match=says("readers.none_knows_the_folder")):
        plan_scan(tmp_path, Acquisition())
    tiffs(tmp_path, "whatever.tif")
    with pytest.raises(ScanError, match=says("readers.unknown_reader")):
        plan_scan(tmp_path, Acquisition(reader="czi"))
    with pytest.raises(ScanError, match=says("tiff_folder.no_name_fits")):
        plan_scan(tmp_path, Acquisition(file_pattern="imagexpress", reader="tiff"))
    with pytest.raises(ScanError, match=says("tiff_folder.unknown_pattern")):
        plan_scan(tmp_path, Acquisition(file_pattern="opera", reader="tiff"))
