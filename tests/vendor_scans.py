"""Vendors' folders drawn again: real names and metadata from `tests/reference`, with pixels of our
own.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import tifffile
import zarr

REFERENCE = Path(__file__).parent / "reference"
PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8)

_METAMORPH = (
    '<MetaData><PlaneInfo><prop id="spatial-calibration-x" type="float" value="{x}"/>'
    '<prop id="spatial-calibration-units" type="string" value="{units}"/>'
    '<prop id="acquisition-time-local" type="time" value="{time}"/></PlaneInfo></MetaData>'
)


def tiff_folder(name: str, folder: Path) -> Path:
    """The files that `vendor/NAME.tsv` lists, each with the calibration and the time that the
    instrument wrote.
    """
    with (REFERENCE / "vendor" / f"{name}.tsv").open(newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            path = folder / row["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            x, units, time = (
                row["spatial_calibration_x"],
                row["spatial_calibration_units"],
                row["acquisition_time_local"],
            )
            description = _METAMORPH.format(x=x, units=units, time=time) if x else None
            tifffile.imwrite(path, PIXELS, description=description, metadata=None)
    return folder


def operetta(folder: Path) -> Path:
    """A Harmony V5 export: two fields of well C03."""
    scan = folder / "operetta_v5"
    shutil.copytree(REFERENCE / "vendor" / "operetta_v5", scan)
    for field in (1, 2):
        tifffile.imwrite(
            scan / "Images" / f"r03c03f{field:02d}p01-ch1sk1fk1fl1.tiff",
            PIXELS + field,
            metadata=None,
        )
    return scan


def foreign_plate(name: str, folder: Path, value: int | None = None) -> Path:
    """An OME-Zarr 0.4 plate of others; its arrays hold `value`, or no chunk at all."""
    root = folder / name
    shutil.copytree(REFERENCE / "omezarr" / name, root)
    if value is not None:
        for path in root.rglob(".zarray"):
            zarr.open_array(path.parent, mode="r+")[...] = value
    return root
