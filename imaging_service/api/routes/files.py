"""Files of a run's and of a screen's folder: a command reads them as it reads a folder here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse

from imaging_service.api.access import SessionDep, SettingsDep
from imaging_service.api.problems import described
from imaging_service.api.routes.reviewing.fields import finished, folder_of
from imaging_service.api.routes.screens import fitted_folder
from imaging_service.errors import NotFound
from imaging_service.review.local import LocalRun
from imaging_service.schemas import FolderFile

router = APIRouter(tags=["files"], responses=described(409))

# What lies in a run's folder and is read again. Of `work` only what says how the run was begun:
# the rest is the worker's scratch.
_RUN_PARTS = ("review", "readings", "corrected", "arrival", "labels.zarr", "plate.zarr")
_RUN_WORK = ("work/record.json", "work/calibration.json")
_SCREEN_PARTS = ("plates", "sites")
_ENDINGS = (".json", ".jsonl", ".csv", ".tsv", ".toml", ".parquet", ".html")

UnderQuery = Annotated[
    list[str] | None,
    Query(
        description="Files and folders such as `review` or `labels.zarr/B/3`; all if not given.",
        max_length=1000,
    ),
]


class Folder:
    """A folder of which some files may be read; `plate` is where its `plate.zarr` lies."""

    def __init__(
        self, root: Path, parts: tuple[str, ...], single: tuple[str, ...], plate: Path | None = None
    ) -> None:
        self.root, self._parts, self._single = root.resolve(), parts, single
        self._plate = None if plate is None else plate.resolve()

    def listed(self, under: list[str] | None) -> list[FolderFile]:
        """The files under these names, in order; of an unknown name none."""
        top = [
            *sorted(p.name for p in self.root.iterdir() if p.is_file()),
            *self._single,
            *self._parts,
        ]
        names = {name for wanted in (under or top) for name in self._under(wanted)}
        there = ((name, self._placed(name)) for name in sorted(names))
        return [_described(name, path) for name, path in there if path and path.is_file()]

    def file(self, name: str) -> Path:
        """The file of that name. Raises NotFound, also for one that may not be read."""
        path = self._placed(name)
        if path is None or not path.is_file():
            raise NotFound(f"there is no file {name[:200]!r} in this folder")
        return path

    def _placed(self, name: str) -> Path | None:
        """Where a name lies; None for a name that leads out or is not to be read."""
        first, _, rest = name.partition("/")
        if name in self._single or (not rest and name.endswith(_ENDINGS)):
            base, path = self.root, self.root / name
        elif first == "plate.zarr" and first in self._parts and self._plate is not None:
            base, path = self._plate, self._plate / rest
        elif first in self._parts:
            base, path = self.root / first, self.root / name
        else:
            return None
        path = path.resolve()
        # A link or a `..` that leads out is answered as a name that is not there.
        return path if path.is_relative_to(base) else None

    def _under(self, wanted: str) -> Iterator[str]:
        wanted = wanted.strip("/")
        path = self._placed(wanted)
        if path is None:
            return
        if path.is_file():
            yield wanted
        elif path.is_dir():
            for file in path.rglob("*"):
                # What is being written now, and locks.
                inside = file.relative_to(path)
                if any(p.startswith(".") or p.endswith(".lock") for p in inside.parts):
                    continue
                if file.is_file():
                    yield f"{wanted}/{inside.as_posix()}"


def _described(name: str, path: Path) -> FolderFile:
    stat = path.stat()
    return FolderFile(path=name, size=stat.st_size, version=f"{stat.st_mtime_ns:x}")


def run_folder(run: str, session: SessionDep, settings: SettingsDep) -> Folder:
    """The folder of a run that is done."""
    local = LocalRun(folder_of(finished(run, session), settings))
    return Folder(local.root, _RUN_PARTS, _RUN_WORK, local.plate)


def screen_folder(project: str, screen: str, session: SessionDep, settings: SettingsDep) -> Folder:
    """The folder of a screen that is done."""
    return Folder(fitted_folder(session, settings, project, screen), _SCREEN_PARTS, ())


@router.get("/runs/{run}/files", summary="Files of a run's folder")
def list_run_files(
    run: str, session: SessionDep, settings: SettingsDep, under: UnderQuery = None
) -> list[FolderFile]:
    """Record, tables, review, labels and pixels, by name."""
    return run_folder(run, session, settings).listed(under)


@router.get("/runs/{run}/files/{path:path}", summary="A file of a run", response_class=FileResponse)
def get_run_file(run: str, path: str, session: SessionDep, settings: SettingsDep) -> FileResponse:
    """As it lies in the run's folder, whole or in ranges of bytes."""
    return _sent(run_folder(run, session, settings).file(path))


@router.get("/projects/{project}/screens/{screen}/files", summary="Files of a screen's folder")
def list_screen_files(
    project: str,
    screen: str,
    session: SessionDep,
    settings: SettingsDep,
    under: UnderQuery = None,
) -> list[FolderFile]:
    """Settings, registries, tables and what each plate contributed, by name."""
    return screen_folder(project, screen, session, settings).listed(under)


@router.get(
    "/projects/{project}/screens/{screen}/files/{path:path}",
    summary="A file of a screen",
    response_class=FileResponse,
)
def get_screen_file(
    project: str, screen: str, path: str, session: SessionDep, settings: SettingsDep
) -> FileResponse:
    """As it lies in the screen's folder."""
    return _sent(screen_folder(project, screen, session, settings).file(path))


def _sent(path: Path) -> FileResponse:
    # A report is a page of scripts: it is a download here, and a page at its own route.
    return FileResponse(path, media_type="application/octet-stream", filename=path.name)
