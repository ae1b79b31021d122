"""Dictionaries of a bundle: what each column means, and what each number was made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def models_dictionary(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Engine, weights' digest, thresholds, parameters and package versions, by plate.

    Fields are segmented with seed 0; two analyses of one plate give the same tables, byte for byte.
    """
    plates = {
        plate: {
            "engine": record["engine"],
            "thresholds": record["thresholds"],
            "pixel_size_um": record["pixel_size_um"],
            "parameters": record["inputs"]["protocol"],
            "protocol": record["protocol_digest"],
            "software_version": record["software_version"],
            "packages": record["packages"],
            "seed": 0,
        }
        for plate, record in sorted(records.items())
    }
    return json.dumps({"plates": plates}, indent=1, ensure_ascii=False)
