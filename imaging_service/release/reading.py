"""Read a bundle back into a screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from imaging_service.errors import ScreenError
from imaging_service.files import write_bytes
from imaging_service.release.contents.manifest import NAME, check_manifest
from imaging_service.screens.folder import add_run, set_registry
from imaging_service.screens.remarks import PlateFile


def is_bundle(folder: Path) -> bool:
    """Whether a folder is a release bundle."""
    return (folder / NAME).is_file() and (folder / "plates").is_dir()


def add_bundle(screen: Path, bundle: Path, lab: str = "") -> Sequence[PlateFile]:
    """Add a bundle's plates, registry and settings to a new screen.

    A fit then gives the rows that the bundle shows. Raises ScreenError for a screen that has
    settings of its own, since those of the bundle name its healthy lines; ReleaseRefused for a
    bundle that was changed.
    """
    check_manifest(bundle)
    if (screen / "screen.toml").exists():
        raise ScreenError(
            f"{screen} is a screen already; a bundle has settings and a registry of its own, so"
            " give a new folder. To pool its plates with others, add the folders of its plates/"
        )
    write_bytes(screen / "screen.toml", (bundle / "screen.toml").read_bytes())
    added = [add_run(screen, folder, lab) for folder in sorted((bundle / "plates").iterdir())]
    set_registry(screen, bundle / "lines.tsv", bundle / "batches.tsv")
    return added
