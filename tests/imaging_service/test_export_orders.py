from __future__ import annotations

import pytest
from pydantic import ValidationError

from imaging_service.export_orders import NewExport


def test_an_export_is_of_one_run_or_one_screen():
    assert NewExport(run="3f0c9d2a41b7").format == "parquet"
    for wanted in ({}, {"run": "3f0c9d2a41b7", "screen": "5b0e9d2a41b7c3d0"}):
        with pytest.raises(ValidationError):
            NewExport(**wanted)
