"""Photographs of cells that have no neurites: whatever is marked there is false.

They are split by well, so that no cell is seen in training and in testing.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from segmentation.field import Image

SUFFIXES = (".tif", ".tiff", ".png")
# Cellomics (…_O07f00d2), BBBC013 (Channel1-03-A-03); other names are a well of their own.
_WELL = re.compile(r"_(?P<cellomics>[A-P]\d\d)f\d\dd\d$|^Channel\d-\d\d-(?P<sbs>[A-H]-\d\d)$")
# A picture's name ► that of its DNA channel: BBBC013, the fly cells, the HT29 cells.
_DNA = ((r"^Channel1-", "Channel2-"), (r"_[FR]$", "_D"), (r"d[12]$", "d0"))


def part_of(name: str) -> str:
    """Part of a picture, "test" (a fifth of the wells) or "training", from its file name.

    Examples
    --------
    >>> from segmentation.engines.motornet.negatives import part_of
    >>> part_of("AS_09047_O07f00d2.TIF") == part_of("AS_09047_O07f01d2.TIF")
    True
    """
    stem = Path(name).stem
    match = _WELL.search(stem)
    well = (match["cellomics"] or match["sbs"]) if match else stem
    return "test" if zlib.crc32(well.encode()) % 5 == 0 else "training"


def read_negatives(folders: Iterable[Path], part: str) -> Iterator[tuple[str, Image, Image | None]]:
    """(name, image, its DNA channel or None) of one part, in name order within each folder.

    A DNA channel that goes with a picture does not count as a picture of its own.

    Raises
    ------
    FileNotFoundError
        A folder has no picture, or a picture cannot be read.
    """
    for folder in folders:
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
        if not paths:
            raise FileNotFoundError(f"{folder} has no picture ({', '.join(SUFFIXES)})")
        dna_of = {p: d for p in paths if (d := _dna(p)) is not None and d in paths}
        for path in paths:
            if part_of(path.name) == part and path not in dna_of.values():
                dna = dna_of.get(path)
                yield path.stem, _grey(path), None if dna is None else _grey(dna)


def _dna(path: Path) -> Path | None:
    """Where the DNA channel of a picture would lie, by the collections' names."""
    for pattern, other in _DNA:
        stem, changed = re.subn(pattern, other, path.stem)
        if changed:
            return path.with_name(stem + path.suffix)
    return None


def _grey(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise FileNotFoundError(f"{path} cannot be read as a picture")
    return np.asarray(image if image.ndim == 2 else image[..., 0], np.float32)
