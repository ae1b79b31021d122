"""What a page shows of a scan and a plate map before anything runs, as plain values.

Both are read in a process of their own: what is sent may be hostile.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from imaging_service.errors import PlateMapRefused, ProtocolError
from imaging_service.incoming.gate import allowed
from imaging_service.ingest.plan import Limits
from imaging_service.inspection.starting_protocol import missing_roles, starting_protocol
from imaging_service.inspection.survey import survey
from plate_maps import PlateMapError, check, plate_format, read_plate_map


def look_at_scan(named: str, roots: tuple[Path, ...]) -> dict[str, Any]:
    """A survey of the scan as plain values, with a protocol to start from.

    Raises Forbidden for a path outside of the roots, ScanError for a folder that is not a scan.
    """
    surveyed = survey(allowed(named, roots), None, Limits(roots=roots))
    if roles := missing_roles(surveyed.plan.channels):
        surveyed = surveyed.needing(roles)
    return {**surveyed.plain(), "protocol": starting_protocol(surveyed, None)}


def look_at_protocol(content: dict[str, Any]) -> str:
    """Every fault of a protocol; empty where it can be used."""
    from imaging_service.protocol import parse_protocol

    try:
        parse_protocol(content, str(content.get("name", "")))
    except ProtocolError as error:
        return str(error)
    return ""


def look_at_map(name: str, content: bytes, plate: str, wells: int, line: str) -> dict[str, Any]:
    """A plate map's wells and the findings on it, as plain values.

    Parameters
    ----------
    name
        Of the file; its ending says the format.
    plate
        The barcode in a map of several plates.
    wells
        Of the scan's plate.
    line
        Cell line of wells without one in the map.

    Raises PlateMapRefused with every fault of the map.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            mapped = read_plate_map(path, plate_format(wells), line, plate)
        except PlateMapError as error:
            raise PlateMapRefused(str(error)) from error
        findings = check(mapped)
    return {
        "rows": mapped.format.rows,
        "columns": mapped.format.columns,
        "lines": list(mapped.lines),
        "compounds": list(mapped.compounds),
        "wells": [
            {
                "well": well.name,
                "line": c.line,
                "compound": c.compound,
                "dose_molar": c.dose_molar,
                "control": c.control.value,
            }
            for well, c in sorted(mapped.conditions.items())
        ],
        "findings": [
            {"severity": f.severity, "code": f.code, "message": f.message} for f in findings
        ],
    }
