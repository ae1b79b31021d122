"""How a run's scan looked before it was segmented, as it lies in RUN/arrival."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imaging_service.errors import NotFound, NotReady

if TYPE_CHECKING:
    import polars as pl

# Tables that are there, or in their place the reason why they are not.
TABLES = ("images", "channels")
REASON = "reason.txt"
PAGE = "scan.html"
_GOING_ON = ("queued", "running", "waiting")


@dataclass(frozen=True)
class Arrival:
    """The tables of images and of channels."""

    images: pl.DataFrame
    channels: pl.DataFrame


def arrival_folder(run: Path) -> Path:
    """The folder below that of a run."""
    return run / "arrival"


def picture(number: int) -> str:
    """Name of the picture of a channel, counted from 1 in the order of the scan."""
    return f"plate_channel{number}.png"


def read_arrival(run: Path) -> Arrival | str:
    """The tables in a run's folder, or why there are none: empty where nothing was written.

    Raises StoreError for a damaged table.
    """
    from imaging_service.store.tables import read_table

    folder = arrival_folder(run)
    if (folder / REASON).is_file():
        return (folder / REASON).read_text(encoding="utf-8")
    if not folder.is_dir():
        return ""
    return Arrival(*(read_table(folder / f"{name}.parquet") for name in TABLES))


def file_of_arrival(run: Path, name: str, run_id: str, state: str) -> Path:
    """A file of the folder.

    Raises NotReady while the run may still write it, NotFound where it never will.
    """
    folder = arrival_folder(run)
    if (folder / name).is_file():
        return folder / name
    short = run_id[:12]
    if (folder / REASON).is_file():
        reason = (folder / REASON).read_text(encoding="utf-8")
        raise NotFound(f"the scan of run {short} could not be looked at: {reason}")
    if folder.is_dir():
        raise NotFound(f"run {short} has no {name} of its scan; its scan has fewer channels")
    if state in _GOING_ON:
        raise NotReady(f"run {short} is {state}, and has not looked at its scan yet")
    raise NotFound(
        f"run {short} has not looked at its scan: it was made before runs did, or was stopped"
        " before; submit the plate again, or look with `imaging-service inspect SCAN --qc`"
    )
