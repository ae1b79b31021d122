"""Copies of finished runs on S3: the files of a run's folder as they are, and its pixels.

Any program reads them there: tables are Parquet and CSV, pixels and labels OME-Zarr. Commands of
this service read a run from a disk, to which a copy is brought back, every file checked.

`run.json` is written first, so that a copy that was cut is known again, and goes on; `copied.json`
(the SHA-256 of each file) last: without it there is no whole copy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from imaging_service.backups.copying import files_below
from imaging_service.errors import BackupError, UploadRefused
from imaging_service.files import only_one, staged, write_through
from imaging_service.incoming.manifest import check_paths
from imaging_service.incoming.s3 import AT_ONCE, S3Path
from imaging_service.review.local import LocalRun

NAME = "copied.json"
_RECORD = "run.json"
_BLOCK = 2**20


@dataclass(frozen=True)
class Copied:
    """A whole copy: the run's id, and SHA-256 (hex) of each file by its name below the folder."""

    run_id: str
    files: dict[str, str]


_ADAPTER = TypeAdapter(Copied)


def copy_run(
    source: Path, target: Path, progress: Callable[[int], None] = lambda _: None
) -> Copied:
    """Copy a finished run's folder to S3, or a copy there to a new folder.

    The same command after a kill goes on; what is there already is not sent again. `progress` is
    called with the number of files that are done.

    Raises
    ------
    BackupError
        Not exactly one of the two is on S3, the target holds something else, the run was changed
        meanwhile, or a file of the copy is missing or was changed.
    NotFound
        The source is not the folder of a finished run.
    Unavailable
        S3 does not answer, or refuses.
    """
    if isinstance(target, S3Path) and not isinstance(source, S3Path):
        return _put(LocalRun(source), target, progress)
    if isinstance(source, S3Path) and not isinstance(target, S3Path):
        return _get(source, target, progress)
    raise BackupError(
        "give one folder of this machine and one on S3 (s3://BUCKET/FOLDER); between two of a kind"
        " copy with the storage's own tools"
    )


def _put(run: LocalRun, target: S3Path, progress: Callable[[int], None]) -> Copied:
    run_id = str(run.record["run_id"])
    with only_one(run.root):
        files, before = dict(_files(run)), _states(run)
        held = _held(target, run_id, files)
        if NAME in held:
            (target / NAME).delete()
        (target / _RECORD).write(files[_RECORD])

        def one(name: str) -> str:
            digest, etag = _digests(files[name])
            if held.get(name) != etag:
                (target / name).write(files[name])
            return digest

        digests: dict[str, str] = {}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for name, digest in zip(files, pool.map(one, files), strict=True):
                digests[name] = digest
                progress(len(digests))
        # A service goes on reviewing a run of its own: tables of two revisions beside each other
        # would be numbers that no run ever had.
        if _states(run) != before:
            raise BackupError(
                f"{run.root} was changed while it was copied; give the same command again"
            )
        _check_sent(target, files)
        made = Copied(run_id, digests)
        (target / NAME).write(_ADAPTER.dump_json(made, indent=1))
    return made


def _check_sent(target: S3Path, files: Mapping[str, Path]) -> None:
    """Raise BackupError where S3 took a file and does not list it with its size."""
    held = {state.name: state.size for state in target.states()}
    for name, path in files.items():
        if held.get(name) != (size := path.stat().st_size):
            raise BackupError(
                f"{target / name} was sent ({size:,} bytes), and S3 lists"
                f" {f'{held[name]:,} bytes' if name in held else 'none'}; give the same command"
                " again, and look at the storage if it stays"
            )


def _files(run: LocalRun) -> Iterator[tuple[str, Path]]:
    """Name in the copy ► file; a plate that runs share is part of each copy."""
    for path in files_below(run.root, [run.root]):
        yield path.as_posix(), run.root / path
    if run.plate != run.root / "plate.zarr":
        for path in files_below(run.plate, [run.plate]):
            yield f"plate.zarr/{path.as_posix()}", run.plate / path


def _states(run: LocalRun) -> dict[str, tuple[int, int]]:
    """Name ► size and time of the last change (ns) of each file now."""
    stats = ((name, path.stat()) for name, path in _files(run) if path.is_file())
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats}


def _held(target: S3Path, run_id: str, files: Mapping[str, Path]) -> dict[str, str]:
    """Name ► ETag of what the target holds of this run. Raises BackupError for anything else."""
    held = {state.name: state.etag for state in target.states()}
    strange = sorted(set(held) - set(files) - {NAME})
    if strange:
        raise BackupError(
            f"{target} holds {strange[0]}, which is not a file of the run; give an empty folder"
        )
    if held and (_RECORD not in held or _run_of((target / _RECORD).read_bytes()) != run_id):
        raise BackupError(f"{target} holds another run; give an empty folder")
    return held


def _run_of(record: bytes) -> str:
    """The id in a run's record; empty where it has none."""
    try:
        return str(json.loads(record)["run_id"])
    except (ValueError, KeyError, TypeError):
        return ""


def _digests(path: Path) -> tuple[str, str]:
    """SHA-256 and MD5 (hex) of a file; the second is the ETag of an object sent in one piece."""
    digest, etag = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            etag.update(block)
    return digest.hexdigest(), etag.hexdigest()


def _get(source: S3Path, target: Path, progress: Callable[[int], None]) -> Copied:
    try:
        copied = _ADAPTER.validate_json((source / NAME).read_bytes())
        check_paths(copied.files)
    except FileNotFoundError:
        raise BackupError(
            f"{source} holds no whole copy of a run: {NAME} is written last, and is not there; copy"
            " the run again, to the same place"
        ) from None
    except (ValidationError, UploadRefused) as error:
        raise BackupError(f"{source / NAME} cannot be read: {error}") from error
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BackupError(f"{target} is not empty; give a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with staged(target) as scratch, ThreadPoolExecutor(AT_ONCE) as pool:

        def one(name: str) -> None:
            _fetch(source / name, scratch / name, copied.files[name])

        for number, _ in enumerate(pool.map(one, copied.files), 1):
            progress(number)
    return copied


def _fetch(source: S3Path, target: Path, expected: str) -> None:
    digest = hashlib.sha256()

    def blocks() -> Iterator[bytes]:
        for block in source.blocks():
            digest.update(block)
            yield block

    try:
        write_through(target, blocks())
    except FileNotFoundError:
        raise BackupError(f"the copy lacks {source}; copy the run again") from None
    if digest.hexdigest() != expected:
        raise BackupError(f"{source} was changed or damaged since the copy was made")
