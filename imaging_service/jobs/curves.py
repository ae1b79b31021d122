"""Dose-response curves as plain numbers, for programs that draw them: RUN/curves.json."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from imaging_service.errors import StoreError, damaged
from imaging_service.files import write_bytes
from imaging_service.web.specifications.curves import curve_row
from phenotypes.plates.responses import Curve


def write_curves(
    folder: Path, curves: Sequence[Curve], kept: Sequence[dict[str, Any]] = ()
) -> None:
    """Write `curves`, and those of an earlier file that are `kept`, to FOLDER/curves.json.

    They are sorted by phenotype, line and compound.
    """
    rows = sorted(
        [*kept, *(curve_row(c) for c in curves)],
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
