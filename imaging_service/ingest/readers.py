"""The PlateReader protocol and its registry.

Built-ins are "module:attribute" strings, imported on use; other packages add theirs through the
entry-point group `motor_neuron.readers`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from os import PathLike
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import ScanError, damaged
from imaging_service.incoming.gate import inspect
from imaging_service.incoming.s3 import S3Path, place
from imaging_service.ingest.images.scan_files import scan_files
from imaging_service.ingest.losses import with_losses
from imaging_service.ingest.plan import ImageRef, Limits, PlatePlan
from imaging_service.protocol import Acquisition

ENTRY_POINT_GROUP = "motor_neuron.readers"

BUILT_IN: dict[str, str] = {
    "bioio": "imaging_service.ingest.formats.through_bioio:BioioReader",
    "cellvoyager": "imaging_service.ingest.formats.cellvoyager:CellVoyagerReader",
    "harmony": "imaging_service.ingest.formats.harmony:HarmonyReader",
    "jdce": "imaging_service.ingest.formats.jdce:JdceReader",
    "ome-tiff": "imaging_service.ingest.formats.ome_tiff:OmeTiffReader",
    "ome-zarr": "imaging_service.ingest.formats.ome_zarr:OmeZarrReader",
    "tiff": "imaging_service.ingest.formats.tiff_folder:TiffFolderReader",
}

# The only format whose parts are read without a file of this machine.
_ON_S3 = "ome-zarr"


class PlateReader(Protocol):
    """What every reader can do."""

    name: str

    def sniff(self, root: Path) -> float:
        """How sure the reader is that it can read the folder, 0 to 1, from names alone."""
        ...

    def plan(self, root: Path, limits: Limits, acquisition: Acquisition) -> PlatePlan:
        """List the planes from metadata; no pixel is allocated. Raises ScanError."""
        ...

    def read(self, plan: PlatePlan, image: ImageRef, limits: Limits) -> NDArray[np.generic]:
        """One plane (Y, X) as stored. Raises ImageError naming the file."""
        ...

    def exposed_s(self, plan: PlatePlan, image: ImageRef) -> float | None:
        """When the instrument took the plane, in seconds since 1970; None if unknown.

        The date of the file does not count.
        """
        ...

    def local_clock(self, plan: PlatePlan, image: ImageRef) -> bool:
        """Whether that time is a local one without zone, which daylight saving shifts."""
        ...


def known() -> tuple[str, ...]:
    """Names of all readers."""
    return tuple(sorted({*BUILT_IN, *(e.name for e in entry_points(group=ENTRY_POINT_GROUP))}))


def reader_named(name: str) -> PlateReader:
    """A reader by name. Raises ScanError listing the known ones."""
    target = BUILT_IN.get(name)
    if target is not None:
        module, _, attribute = target.partition(":")
        reader: PlateReader = getattr(import_module(module), attribute)()
        return reader
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.name == name:
            plug_in: PlateReader = entry.load()()
            return plug_in
    raise ScanError(f"unknown reader {name!r}; known: {', '.join(known())}")


def plan_scan(
    root: str | PathLike[str], acquisition: Acquisition, limits: Limits | None = None
) -> PlatePlan:
    """Plan a scan with the protocol's reader, or with the one that is surest of the folder.

    Findings say what the instrument announces, or other wells have, and is not there. Raises
    ScanError.
    """
    root = place(root)
    limits = limits or Limits()
    if not root.is_dir():
        raise ScanError(f"{root} is not a folder; give the folder of the plate's scan")
    inspect(root, limits.roots)
    # Broken metadata are one sentence, whichever library they break.
    with damaged(ScanError, f"scan {root}"):
        return with_losses(_reader_of(root, acquisition, limits).plan(root, limits, acquisition))


def _reader_of(root: Path, acquisition: Acquisition, limits: Limits) -> PlateReader:
    if isinstance(root, S3Path):
        if acquisition.reader not in ("auto", _ON_S3):
            raise ScanError(
                f"{root}: the reader {acquisition.reader} reads folders of this machine only; on S3"
                f" give an OME-Zarr plate (reader {_ON_S3}), or copy the scan to a disk"
            )
        if reader_named(_ON_S3).sniff(root) == 0:
            raise ScanError(
                f"{root} is not an OME-Zarr plate, the only kind that is read from S3; copy the"
                " scan to a disk, or upload it"
            )
        return reader_named(_ON_S3)
    if acquisition.reader != "auto":
        return reader_named(acquisition.reader)
    scores = {name: reader_named(name).sniff(root) for name in known()}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] == 0 and acquisition.file_pattern == "auto":
        tiffs = scan_files(root, limits).tiffs
        first = f" (the first is called {tiffs[0]})" if tiffs else ""
        raise ScanError(
            f"no reader knows the folder {root}: it has no OME-Zarr plate, no index of Harmony,"
            f" CellVoyager or ImageXpress (.jdce) and no TIFF with a name that fits a shipped"
            f" pattern{first}; set acquisition.file_pattern in the protocol (readers:"
            f" {', '.join(known())})"
        )
    return reader_named(best if scores[best] else "tiff")
