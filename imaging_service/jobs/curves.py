"""Dose-response curves as plain numbers, for programs that draw them: RUN/curves.json."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imaging_service.errors import StoreError, damaged
from imaging_service.files import write_bytes
from phenotypes.plates.responses import Curve

_POINTS = 60


def write_curves(
    folder: Path, curves: Sequence[Curve], kept: Sequence[dict[str, Any]] = ()
) -> None:
    """Write `curves`, and those of an earlier file that are `kept`, to FOLDER/curves.json.

    They are sorted by phenotype, line and compound.
    """
    rows = sorted(
        [*kept, *(_row(c) for c in curves)],
        key=lambda r: (r["phenotype"], r["line"], r["compound"]),
    )
    write_bytes(
        folder / "curves.json", json.dumps(rows, allow_nan=False, ensure_ascii=False).encode()
    )


def other_curves(folder: Path, lines: Collection[str]) -> list[dict[str, Any]]:
    """Curves of FOLDER/curves.json, without those of these lines. Raises StoreError."""
    path = folder / "curves.json"
    with damaged(StoreError, str(path)):
        return [
            row for row in json.loads(path.read_text(encoding="utf-8")) if row["line"] not in lines
        ]


def _row(curve: Curve) -> dict[str, Any]:
    result = curve.result
    treated = [d for d in curve.dose if d > 0]
    row: dict[str, Any] = {
        "line": curve.line,
        "compound": curve.compound,
        "phenotype": curve.phenotype,
        "unit": curve.unit,
        "status": result.status,
        "reason": result.reason,
        "ec50_molar": result.ec50,
        "wells": list(curve.well),
        "dose_molar": list(curve.dose),
        "response": list(curve.response),
        "fit_dose_molar": [],
        "fit_response": [],
        "fit_low": [],
        "fit_high": [],
    }
    if not result.model or not treated:
        return row
    doses = np.geomspace(min(treated), max(treated), _POINTS)
    row |= {"fit_dose_molar": doses.tolist(), "fit_response": result.predict(doses).tolist()}
    band = result.band(doses)
    if band is not None and all(np.isfinite(side).all() for side in band):
        row |= {"fit_low": band[0].tolist(), "fit_high": band[1].tolist()}
    return row
