from __future__ import annotations

from dataclasses import replace

import pytest

from imaging_service.jobs.plan import lay_out
from imaging_service.jobs.records import RunFolder


@pytest.fixture
def uncalibrated(laid_out, tmp_path):
    """A run's folder before calibration, to be written to."""
    _source, record, plan = laid_out
    folder = RunFolder(tmp_path / "run")
    made = lay_out(replace(record, plate=tmp_path / "run" / "plate.zarr"), plan, folder)
    return folder, made
