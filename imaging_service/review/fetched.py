"""A service's run or screen as a folder on this machine, for commands that read a folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from imaging_service.client import Client, ServiceRefused
from imaging_service.errors import NotReady
from imaging_service.review.field_image import well_group
from imaging_service.review.local import TABLES as LOCAL_TABLES
from imaging_service.review.log import ReviewLog
from imaging_service.schemas import FolderFile

# What the reviewers did; with the tables of wells; with what a field is segmented and drawn from.
REVIEW = ("run.json", "review", "readings")
WELLS = (
    "run.json",
    "wells.csv",
    "wells.parquet",
    "corrected/wells.csv",
    "corrected/wells.parquet",
    "corrected/corrected.json",
)
FIELDS = (*REVIEW, "wells.csv", "work/record.json", "work/calibration.json")
# Everything but labels and pixels.
TABLES = (
    *FIELDS,
    "corrected",
    *(f"{name}.{ending}" for name in LOCAL_TABLES for ending in ("csv", "parquet")),
    "curves.json",
    "report.html",
)
# A plate has thousands of small files, each of which waits for its answer.
_AT_ONCE = 8
# Names in one address; a server takes some 64 KB.
_IN_ADDRESS = 200


def fetch_run(
    client: Client,
    run: str,
    folder: Path,
    names: Sequence[str] = (),
    *,
    fields: bool = False,
) -> Path:
    """Write a run of a service to `folder` as it lies there, and return the folder.

    Parameters
    ----------
    run
        The run's id or the beginning of one.
    names
        Files and folders of the run such as `REVIEW`; everything, pixels as well, if not given.
    fields
        Also labels and pixels of the wells that reviewers corrected or judged, and of those that
        the run's thresholds were fixed from.

    Raises
    ------
    ServiceRefused
        With the service's own explanation.
    NotReady
        The run was changed while it was read.
    """
    where = f"/runs/{run}/files"
    _fetch(client, where, folder, names)
    if fields:
        stores = [f"{s}/{well_group(w)}" for w in _wells(folder) for s in _STORES]
        if stores:
            _fetch(client, where, folder, stores)
    return folder


def fetch_screen(client: Client, screen: str, folder: Path) -> Path:
    """Write a screen of a service to `folder` as it lies there, and return the folder."""
    return _fetch(client, f"{client.screens_path(screen)}/files", folder, ())


_STORES = ("labels.zarr", "plate.zarr")


def _fetch(client: Client, where: str, folder: Path, names: Sequence[str]) -> Path:
    files = _listed(client, where, names)
    folder.mkdir(parents=True, exist_ok=True)

    def fetch(file: FolderFile) -> None:
        client.download(f"{where}/{quote(file.path)}", folder / _inside(file.path))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(fetch, files))
    # Tables of two revisions beside each other would be numbers that no run ever had.
    if _listed(client, where, names) != files:
        raise NotReady(f"{where} of {client.url} was changed while it was read; ask again")
    return folder


def _listed(client: Client, where: str, names: Sequence[str]) -> list[FolderFile]:
    listed: list[FolderFile] = []
    for part in _parts(names) or [()]:
        answer = client.ask("GET", where, params=[("under", name) for name in part])
        listed += [FolderFile.model_validate(file) for file in answer.json()]
    return listed


def _parts(names: Sequence[str]) -> list[Sequence[str]]:
    """Names in parts that one address can hold: a plate of 1536 wells has 3,072 folders."""
    return [names[start : start + _IN_ADDRESS] for start in range(0, len(names), _IN_ADDRESS)]


def _inside(path: str) -> PurePosixPath:
    """The path, which must not lead out of the folder that it is written to."""
    named = PurePosixPath(path)
    if named.is_absolute() or ".." in named.parts or "\\" in path or ":" in named.parts[0]:
        raise ServiceRefused(f"the service named a file {path!r} that leads out of its folder")
    return named


def _wells(run: Path) -> Iterable[str]:
    """Wells with a correction or a verdict on one of their fields, and those calibrated on."""
    readings = ("", *sorted(p.name for p in (run / "readings").glob("*")))
    wells = {well for reading in readings for well in _reviewed(ReviewLog(run, reading))}
    calibration = run / "work" / "calibration.json"
    if wells and calibration.is_file():
        named = json.loads(calibration.read_text(encoding="utf-8"))["fields"]
        wells |= {field.split(" ")[0] for field in named}
    return sorted(wells)


def _reviewed(log: ReviewLog) -> Iterator[str]:
    yield from (well for well, _ in log.corrected())
    yield from (well for well, field, _ in log.standing() if field is not None)
