"""Dictionaries of a bundle: what each column means, and what each number was made with."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from phenotypes.columns.dictionary import COLUMNS


def columns_dictionary() -> str:
    """All columns of all tables: table, name, unit, type, meaning, how a phenotype is compared."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(["table", "column", "unit", "type", "meaning", "compared_as"])
    for c in COLUMNS:
        writer.writerow([c.level, c.name, c.unit, str(c.dtype), c.meaning, c.scale or ""])
    return out.getvalue()


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
            "protocol_sha256": record["protocol_digest"],
            "software_version": record["software_version"],
            "packages": record["packages"],
            "seed": 0,
        }
        for plate, record in sorted(records.items())
    }
    return json.dumps({"plates": plates}, indent=1, ensure_ascii=False)
