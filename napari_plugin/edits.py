"""What a correction makes of a field's labels: arrays in, painted arrays out. Nothing is written
here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging_service.review.crops import Crop
from imaging_service.review.field_image import FieldImage, compact
from imaging_service.review.log import UNATTRIBUTED

Labels = NDArray[np.integer[Any]]
Painted = dict[str, Labels]
# Nuclei and somas carry one number a cell: what is done to the one is done to the other.
CELL = ("nuclei", "somas")
# Pieces of one cell lie no further apart than this, by the boxes around them.
_APART_PX = 15


def erased(shown: FieldImage, compartment: str, label: int) -> Painted:
    """Without an object; a nucleus goes with its soma, a soma leaves its nucleus. Raises ValueError
    for one that the window cuts.
    """
    names = [n for n in (CELL if compartment == "nuclei" else (compartment,)) if n in shown.labels]
    refuse_cut(shown, names, (label,))
    return {n: np.where(shown.labels[n] == label, 0, shown.labels[n]) for n in names}


def merged(shown: FieldImage, first: int, second: int) -> Painted:
    """Two cells as one, under the first one's number.

    Raises ValueError for one that is not there, for cells apart, or that the window cuts.
    """
    names = [n for n in CELL if n in shown.labels]
    boxes = []
    for label in (first, second):
        y, x = np.nonzero(shown.labels[names[0]] == label)
        if label == 0 or not len(y):
            raise ValueError(
                f"there is no cell {label} to merge; pick the one to merge into first (napari's"
                " pipette, key L)"
            )
        boxes.append((y.min(), y.max(), x.min(), x.max()))
    gap = max(max(boxes[0][i], boxes[1][i]) - min(boxes[0][i + 1], boxes[1][i + 1]) for i in (0, 2))
    if gap > _APART_PX:
        raise ValueError(
            f"cells {first} and {second} lie {gap} pixels apart; only pieces of one cell are merged"
        )
    refuse_cut(shown, names, (first, second))
    return {n: np.where(shown.labels[n] == second, first, shown.labels[n]) for n in names}


def split(
    shown: FieldImage,
    label: int,
    points: Sequence[tuple[float, float]],
    compartment: str = "nuclei",
) -> Painted:
    """A cell, pointed at in a compartment, cut in as many as there are points (y, x) in pixels of
    the labels.

    Each pixel goes to the nearest point; the first keeps the number.

    Raises ValueError for fewer than two points, where a point lies outside the cell, or for a cell
    that the window cuts.
    """
    names = [n for n in CELL if n in shown.labels]
    if compartment not in names:
        raise ValueError(
            f"cells are split, at their {' or '.join(names)}; {compartment} are not cells"
        )
    of = shown.labels[compartment]
    if len(points) < 2 or any(of[round(y), round(x)] != label for y, x in points):
        raise ValueError(f"a split needs two points or more inside {compartment} {label}")
    refuse_cut(shown, names, (label,))
    fresh = new_label(shown)
    numbers = [label, *range(fresh, fresh + len(points) - 1)]
    painted = {}
    for name in names:
        labels = shown.labels[name].copy()
        y, x = np.nonzero(labels == label)
        nearest = np.argmin([(y - py) ** 2 + (x - px) ** 2 for py, px in points], axis=0)
        labels[y, x] = np.asarray(numbers, np.int32)[nearest]
        painted[name] = labels
    return painted


def new_label(shown: FieldImage) -> int:
    """A number that no object of what is loaded has."""
    return 1 + max(int(labels.max(initial=0)) for labels in shown.labels.values())


def changes(shown: FieldImage, painted: Mapping[str, Labels]) -> tuple[list[Crop], list[Crop]]:
    """(after, before): the smallest rectangles around what differs from the field as it is shown,
    in the field's pixels.
    """
    top, left = shown.origin
    after, before = [], []
    for name, labels in painted.items():
        rows, columns = np.nonzero(np.asarray(labels) != shown.labels[name])
        if len(rows):
            place = (
                slice(int(rows.min()), int(rows.max()) + 1),
                slice(int(columns.min()), int(columns.max()) + 1),
            )
            y, x = top + place[0].start, left + place[1].start
            after.append(
                Crop(name, y, x, np.array(np.asarray(labels)[place], np.int32), shown.frame)
            )
            before.append(Crop(name, y, x, shown.labels[name][place].copy(), shown.frame))
    return after, before


def refuse_cut(shown: FieldImage, names: Sequence[str], labels: tuple[int, ...]) -> None:
    """Raise ValueError for an object that the loaded window cuts: half of it would be corrected."""
    height, width = shown.shape
    top, left = shown.origin
    for name in names:
        image = shown.labels[name]
        edges = {
            "top": (image[0], top == 0),
            "bottom": (image[-1], top + image.shape[0] == height),
            "left": (image[:, 0], left == 0),
            "right": (image[:, -1], left + image.shape[1] == width),
        }
        for edge, of_field in edges.values():
            if not of_field and np.isin(edge, labels).any():
                raise ValueError(
                    f"{name} {labels[0]} reaches over the edge of what is loaded; C loads the"
                    " labels around the cursor"
                )


def graph_labels(graph: Labels) -> Labels:
    """The neurites' skeleton to be looked at: three pixels wide, so that it is seen at any zoom;
    what is nobody's has one number more.
    """
    wide = compact(
        np.where(
            graph == UNATTRIBUTED, np.max(graph, initial=0, where=graph != UNATTRIBUTED) + 1, graph
        )
    )
    for axis in (0, 1):
        for image in (np.moveaxis(wide, axis, 0), np.moveaxis(wide, axis, 0)[::-1]):
            thin = image.copy()
            image[1:] = np.where(thin[1:] > 0, thin[1:], thin[:-1])
    return wide
