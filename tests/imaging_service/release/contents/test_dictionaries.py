from __future__ import annotations

import json

from imaging_service.release.contents.dictionaries import models_dictionary


def test_each_plate_has_engine_digests_parameters_and_versions(released):
    models = json.loads((released.bundle / "dictionaries" / "models.json").read_text())["plates"]
    assert len(models) == 3
    for model in models.values():
        assert model["engine"] == {
            "engine": "motornet",
            "checkpoint": {"sha256": "ab" * 32, "licence": "BSD"},
        }
        assert model["thresholds"] == {"soma": 120.5}
        assert model["parameters"]["segmentation"]["nucleus_diameter_um"] == 11.0
        assert model["packages"] == {"numpy": "2.4.6"}
    assert len({model["protocol"] for model in models.values()}) == 1
    assert models_dictionary({}) == '{\n "plates": {}\n}'
