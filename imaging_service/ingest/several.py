"""Several plates in one folder are listed, and one is asked for: they are never merged.

Two plates differ in the part of the name before the well, or lie in folders of their own. A folder
per well, row, column, channel or time point is not a plate: its name says which, or its wells are
those of the other folders, at other places.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from imaging_service.errors import ScanError
from imaging_service.ingest.plan import ImageRef
from plate_maps import Well
from plate_maps.wells import row_letters

# Folders in which ImageXpress keeps the time points and planes of one plate.
_PARTS = re.compile(r"(?:TimePoint|ZStep)_\d+", re.IGNORECASE)
_LISTED = 20


def one_of(names: Mapping[str, object], wanted: str, scan: str, what: str) -> str:
    """The name that was asked for, or the only one there is.

    Raises ScanError listing all names where several are there and none, or none of these, is asked
    for.
    """
    listed = list(names)
    chosen = [n for n in listed if n.casefold() == wanted.casefold()]
    if wanted and not chosen:
        raise ScanError(
            f"{scan} has no {what} {wanted!r} (acquisition.measurement); it has {_few(listed)}"
        )
    if len(listed) == 1 or chosen:
        return (chosen or listed)[0]
    raise ScanError(
        f"{scan} holds {len(listed)} {what}s: {_few(listed)}; name one in acquisition.measurement,"
        " or give its folder"
    )


def one_plate(
    images: Mapping[str, ImageRef], prefixes: Mapping[str, str], scan: str, wanted: str
) -> tuple[str, frozenset[str]]:
    """Name and files of the plate that was asked for; without a name of the only one.

    Parameters
    ----------
    images, prefixes
        File ► the image that it is by its name, and the part of its name before the well.
    wanted
        The protocol's acquisition.measurement.

    Raises
    ------
    ScanError
        Several plates are there and none is asked for; all are listed.
    """
    folders, named = _by_folder(images), _by_prefix(prefixes)
    plates = named if len(named) > 1 else folders if _are_plates(folders, images) else {}
    if not plates and not wanted:
        return "", frozenset(images)
    plates = plates or folders
    name = one_of(plates, wanted, scan, "plate")
    return name, plates[name]


def _by_prefix(prefixes: Mapping[str, str]) -> dict[str, frozenset[str]]:
    grouped: dict[str, set[str]] = defaultdict(set)
    spelled: dict[str, str] = {}
    for path, prefix in sorted(prefixes.items()):
        grouped[spelled.setdefault(prefix.casefold(), prefix)].add(path)
    return {name: frozenset(paths) for name, paths in grouped.items()}


def _by_folder(images: Iterable[str]) -> dict[str, frozenset[str]]:
    grouped: dict[str, set[str]] = defaultdict(set)
    for path in sorted(images):
        parts = [p for p in path.split("/")[:-1] if not _PARTS.fullmatch(p)]
        grouped["/".join(parts) or "."].add(path)
    return {folder: frozenset(paths) for folder, paths in grouped.items()}


def _are_plates(folders: Mapping[str, frozenset[str]], images: Mapping[str, ImageRef]) -> bool:
    """Whether folders repeat places of each other, or divide wells without saying which."""
    if len(folders) < 2:
        return False
    held = {folder: {_place(images[p]) for p in paths} for folder, paths in folders.items()}
    if len(set().union(*held.values())) < sum(len(of) for of in held.values()):
        return True
    wells = {folder: {images[p].well for p in paths} for folder, paths in folders.items()}
    disjoint = len(set().union(*wells.values())) == sum(len(of) for of in wells.values())
    return disjoint and not all(_says(folder, of) for folder, of in wells.items() if folder != ".")


def _place(image: ImageRef) -> tuple[object, ...]:
    return image.well, image.field, image.time, image.channel, image.z


def _says(folder: str, wells: set[Well]) -> bool:
    """Whether the folder's name says which well, row or column its images are of."""
    words = {w.upper().lstrip("0") for w in re.split(r"[^A-Za-z0-9]+", folder.split("/")[-1])}
    return all(
        {w.name, f"{row_letters(w.row)}{w.column}", row_letters(w.row), str(w.column)} & words
        for w in wells
    )


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(repr(n) for n in names[:_LISTED]) + more
