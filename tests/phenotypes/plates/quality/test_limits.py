from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from phenotypes.plates.quality.limits import QualityLimits


def test_a_limit_that_cannot_be_is_refused():
    assert QualityLimits(saturated=0.02).saturated == 0.02
    for wrong in ({"saturated": 0}, {"valid_fields": 1.1}, {"trend_p": -0.1}, {"focus": 5.0}):
        with pytest.raises(ValidationError):
            QualityLimits(**wrong)


def test_reading_a_protocol_loads_no_statistics():
    code = "import sys, imaging_service.protocol; print('scipy.stats' in sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout == "False\n"
