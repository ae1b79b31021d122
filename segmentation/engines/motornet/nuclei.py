"""The annotated nuclei for training and testing: Data Science Bowl 2018, split by image.

The pixel size, which the collection lacks, is estimated.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from segmentation.field import Image, Labels

# DSB2018 states no pixel size: the median annotated nucleus is taken as 10 µm across.
NUCLEUS_UM = 10.0
BLIND_PIXEL_UM = 0.65


def part_of(name: str) -> str:
    """Part of an image: "test" (15 %), "validation" (5 %) or "training".

    It follows from the image's name, which is itself a digest.
    """
    number = int(name[:8], 16) % 20
    return "test" if number < 3 else "validation" if number == 3 else "training"


def read_nuclei(folder: Path, part: str) -> Iterator[tuple[str, Image, Labels]]:
    """(name, image, labels) of one part of DSB2018.

    The folder holds manifest.csv, images/ and labels/, as in `shared/data`.
    """
    with (folder / "manifest.csv").open(newline="", encoding="utf-8-sig") as stream:
        names = sorted(row["id"] for row in csv.DictReader(stream))
    for name in names:
        if part_of(name) == part:
            image = cv2.imread(str(folder / "images" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
            labels = cv2.imread(str(folder / "labels" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
            if image is None or labels is None:
                raise FileNotFoundError(f"{folder}: image or labels of {name} cannot be read")
            yield name, np.asarray(image, np.float32), np.asarray(labels, np.int32)


def nuclei_pixel_size(labels: Labels) -> float:
    """Pixel size in µm at which the median annotated nucleus is NUCLEUS_UM across.

    The diameter is that of a disc of its area.
    """
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    return (
        NUCLEUS_UM / float(np.sqrt(4 / np.pi * np.median(areas))) if areas.size else BLIND_PIXEL_UM
    )
