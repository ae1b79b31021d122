from __future__ import annotations

import pytest
from pydantic import ValidationError

from imaging_service.orders import MOST_RUNS, NewExport, NewScreen


def test_an_order_names_its_runs_and_leaves_the_rest_to_registry_and_maps():
    order = NewScreen(name="als", runs=[{"run": "3f0c9d2a41b7"}])
    assert order.model_dump() == {
        "name": "als",
        "runs": [{"run": "3f0c9d2a41b7", "lab": ""}],
        "healthy_lines": None,
        "effect_dose_molar": {},
        "effect_floor": {},
        "robust_curves": False,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a\x00b"},
        {"runs": [{"run": "3f0c9d2a41b7", "lab": "\ud800"}]},
        {"runs": [{"run": "3f0c9d2a41b7"}] * (MOST_RUNS + 1)},
        {"effect_floor": {"live_density": -1.0}},
        {"effect_dose_molar": {"": 1.0}},
        {"healthy_lines": [""]},
        {"engine": "classical"},
    ],
)
def test_what_no_screen_can_have_is_refused(change):
    with pytest.raises(ValidationError):
        NewScreen(**({"name": "als", "runs": [{"run": "3f0c9d2a41b7"}]} | change))


def test_an_export_is_of_one_run_or_one_screen():
    assert NewExport(run="3f0c9d2a41b7").format == "parquet"
    for wanted in ({}, {"run": "3f0c9d2a41b7", "screen": "5b0e9d2a41b7c3d0"}):
        with pytest.raises(ValidationError):
            NewExport(**wanted)
