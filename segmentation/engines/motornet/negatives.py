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


def part_of(name: str) -> str:
    """Part of a picture, "test" (a fifth of the wells) or "training", from its file name.

    Examples
    --------
    >>> from segmentation.engines.motornet.negatives import part_of
    >>> part_of("AS_09047_O07f00d2.TIF") == part_of("AS_09047_O07f01d2.TIF")
    True
    """
    stem = Path(name).stem
    found = _WELL.search(stem)
    well = (found["cellomics"] or found["sbs"]) if found else stem
    return "test" if zlib.crc32(well.encode()) % 5 == 0 else "training"


def read_negatives(folders: Iterable[Path], part: str) -> Iterator[tuple[str, Image]]:
    """(name, image) of one part, in name order within each folder.

    Raises
    ------
    FileNotFoundError
        A folder has no picture, or a picture cannot be read.
    """
    for folder in folders:
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
        if not paths:
            raise FileNotFoundError(f"{folder} has no picture ({', '.join(SUFFIXES)})")
        for path in paths:
            if part_of(path.name) != part:
                continue
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if image is None:
                raise FileNotFoundError(f"{path} cannot be read as a picture")
            grey = image if image.ndim == 2 else image[..., 0]
            yield path.stem, np.asarray(grey, np.float32)
