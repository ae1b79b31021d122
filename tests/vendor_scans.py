"""Vendors' folders drawn again: real names and metadata from `tests/reference`, with pixels of our
own.
"""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile
import zarr

REFERENCE = Path(__file__).parent / "reference"
PIXELS = np.arange(64, dtype=np.uint16).reshape(8, 8)

_METAMORPH = (
    '<MetaData><PlaneInfo><prop id="spatial-calibration-x" type="float" value="{x}"/>'
    '<prop id="spatial-calibration-units" type="string" value="{units}"/>'
    '<prop id="acquisition-time-local" type="time" value="{time}"/>'
    '<prop id="stage-position-x" value="{stage_x}"/><prop id="stage-position-y" value="{stage_y}"/>'
    "</PlaneInfo></MetaData>"
)


def tiff_folder(name: str, folder: Path) -> Path:
    """The files that `vendor/NAME.tsv` lists, each with the calibration and the time that the
    instrument wrote, and what lies beside them. Values differ but where the instrument copied.
    """
    if (REFERENCE / "vendor" / name).is_dir():
        shutil.copytree(REFERENCE / "vendor" / name, folder, dirs_exist_ok=True)
    values: dict[str, int] = {}
    with (REFERENCE / "vendor" / f"{name}.tsv").open(newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            path = folder / row["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            x, units, time = (
                row["spatial_calibration_x"],
                row["spatial_calibration_units"],
                row["acquisition_time_local"],
            )
            stage_x, stage_y = row["stage_position_x"], row["stage_position_y"]
            words = _METAMORPH.format(x=x, units=units, time=time, stage_x=stage_x, stage_y=stage_y)
            description = words if x else None
            # FITC was taken at the first time point only, and exported again at the second.
            copied = row["file"].replace("TimePoint_2", "TimePoint_1")
            key = copied if "_w2" in path.name else row["file"]
            value = values.setdefault(key, len(values))
            tifffile.imwrite(path, PIXELS + value, description=description, metadata=None)
    return folder


# The camera's pixel, 6.45 µm: what Harmony writes into the tags of its TIFFs, whatever the
# objective.
SENSOR = ((4294967295, 2770410), (4294967295, 2770410))


def harmony(version: int, folder: Path, place: str = "Images") -> Path:
    """The export of one well of an Opera Phenix, its index and images in `place`."""
    name = {5: "Index.idx.xml", 7: "Index.xml"}[version]
    images = folder / place
    images.mkdir(parents=True)
    source = REFERENCE / "vendor" / f"harmony_v{version}_phenix" / name
    shutil.copy(source, images / name)
    for n, url in enumerate(re.findall(r"<URL>(.+?)</URL>", source.read_text("utf-8-sig"))):
        tifffile.imwrite(
            images / url,
            PIXELS + n,
            resolution=SENSOR,
            resolutionunit="CENTIMETER",
            metadata=None,
        )
    return folder


def cellvoyager(name: str, folder: Path, wells: Sequence[str] | None = None) -> Path:
    """A CellVoyager measurement with its records, and the images of some of its wells.

    Each image has its own value; that of F06, field 5 is not there where the instrument took none.
    Shading images are blank, as they are in the export that was published.
    """
    scan = folder / name
    shutil.copytree(REFERENCE / "vendor" / name, scan)
    detail = (scan / "MeasurementDetail.mrf").read_text("utf-8")
    for image in set(re.findall(r'ShadingCorrectionSource="([^"]+\.tif)"', detail)):
        tifffile.imwrite(scan / image, np.zeros((16, 16), np.uint16), metadata=None)
    records = (scan / "MeasurementData.mlf").read_text("utf-8")
    for n, image in enumerate(re.findall(r">([^<>]+\.tif)<", records)):
        if wells is None or any(f"_{well}_T" in image for well in wells):
            tifffile.imwrite(scan / image, np.full((16, 16), 1000 + n, np.uint16), metadata=None)
    return scan


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
