"""What a correction makes of a field's labels: arrays in, painted arrays out.

Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging_service.review.crops import Crop
from imaging_service.review.field_image import FieldImage, compact
from imaging_service.review.log import MOST_LABEL, UNATTRIBUTED
from imaging_service.review.neurites import NEURITES, neurite_mask
from imaging_service.review.pieces import APART_PX, box_around, box_gap

Labels = NDArray[np.integer[Any]]
Painted = dict[str, Labels]
_APART_PX = APART_PX
# A cell's nucleus and soma have the same number: what is done to one is done to the other.
CELL = ("nuclei", "somas")


def erased(shown: FieldImage, compartment: str, label: int) -> Painted:
    """Labels without an object; a nucleus goes with its soma, a soma leaves its nucleus.

    Raises ValueError for an object that the window cuts.
    """
    names = [n for n in (CELL if compartment == "nuclei" else (compartment,)) if n in shown.labels]
    refuse_cut(shown, names, (label,))
    return {n: np.where(shown.labels[n] == label, 0, shown.labels[n]) for n in names}


def merged(shown: FieldImage, first: int, second: int) -> Painted:
    """Two cells as one, with the number of the first.

    Raises ValueError for a cell that does not exist or that the window cuts, and for cells too far
    apart.
    """
    names = [n for n in CELL if n in shown.labels]
    boxes = []
    for label in (first, second):
        mask = shown.labels[names[0]] == label
        if label == 0 or not mask.any():
            raise ValueError(
                f"there is no cell {label} to merge; first pick the cell to merge into (napari's"
                " pipette, key L)"
            )
        boxes.append(box_around(mask))
    gap = box_gap(*boxes)
    if gap > _APART_PX:
        raise ValueError(
            f"cells {first} and {second} are {gap} pixels apart; only pieces of one cell, at most"
            f" {_APART_PX} pixels apart, can be merged"
        )
    refuse_cut(shown, names, (first, second))
    return {n: np.where(shown.labels[n] == second, first, shown.labels[n]) for n in names}


def split(
    shown: FieldImage,
    label: int,
    points: Sequence[tuple[float, float]],
    compartment: str = "nuclei",
    fresh: int | None = None,
) -> Painted:
    """A cell cut in as many parts as there are points (y, x), in pixels of the labels.

    Each pixel goes to the nearest point; the first part keeps the number, the others have those
    from `fresh` on (by default above all loaded ones). `compartment` is the one in which the points
    were set.

    Raises ValueError for fewer than two points, for a point outside the image or the cell, and for
    a cell that the window cuts.
    """
    names = [n for n in CELL if n in shown.labels]
    if compartment not in names:
        raise ValueError(
            f"{compartment} cannot be split, only cells; select the layer of {' or '.join(names)}"
        )
    image = shown.labels[compartment]
    height, width = image.shape
    for row, column in points:
        if not (0 <= round(row) < height and 0 <= round(column) < width):
            raise ValueError(
                f"the point at row {row:.0f}, column {column:.0f} is outside the loaded labels of"
                f" {compartment}, which have {height} × {width} pixels; set it inside"
                f" {compartment} {label}"
            )
    if len(points) < 2 or any(image[round(y), round(x)] != label for y, x in points):
        raise ValueError(f"a split needs at least two points inside {compartment} {label}")
    refuse_cut(shown, names, (label,))
    fresh = new_label(shown) if fresh is None else fresh
    numbers = [label, *range(fresh, fresh + len(points) - 1)]
    painted: Painted = {}
    for name in names:
        # Wide enough for any number: 16 bits would begin again at 0 after 65,535.
        labels = shown.labels[name].astype(np.int32)
        y, x = np.nonzero(labels == label)
        nearest = np.argmin([(y - py) ** 2 + (x - px) ** 2 for py, px in points], axis=0)
        labels[y, x] = np.asarray(numbers, np.int32)[nearest]
        painted[name] = labels
    return painted


def new_label(shown: FieldImage) -> int:
    """A number that no loaded object has, above all others.

    Raises ValueError where none is left.
    """
    number = 1 + max(int(labels.max(initial=0)) for labels in shown.labels.values())
    if number > MOST_LABEL:
        raise ValueError(
            f"the field has an object {number - 1:,}, and no number may be above {MOST_LABEL:,};"
            " give that object a lower number that no other has first"
        )
    return number


def checked(shown: FieldImage, painted: Mapping[str, Labels]) -> Painted:
    """Painted labels that can be stored as they are; neurites become a mask outside somas.

    Raises ValueError where they have not the shape of the field's, or numbers out of range: they
    would begin again at 0, or become another object's, where they are stored.
    """
    for name, labels in painted.items():
        if labels.shape != shown.labels[name].shape:
            raise ValueError(
                f"{name}: the painted labels are {' × '.join(map(str, labels.shape))} pixels, the"
                f" field's {' × '.join(map(str, shown.labels[name].shape))}; Z takes them back"
            )
        low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
        if low < 0 or high > MOST_LABEL:
            raise ValueError(
                f"{name}: a label is {low if low < 0 else high:,}, and numbers go from 1 to"
                f" {MOST_LABEL:,}; give the object a number in between that no other has"
            )
    if NEURITES not in painted:
        return dict(painted)
    somas = painted.get("somas", shown.labels.get("somas"))
    return {**painted, NEURITES: neurite_mask(painted[NEURITES], somas)}


def changes(shown: FieldImage, painted: Mapping[str, Labels]) -> tuple[list[Crop], list[Crop]]:
    """Smallest rectangles around the changes to the field as it is shown: (after, before).

    Both are in the field's pixels.
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
            cut = [label for label in labels if not of_field and (edge == label).any()]
            if cut:
                raise ValueError(
                    f"{name} {cut[0]} is cut by the edge of the loaded labels; point at it and"
                    " press C to load the labels around it"
                )


def graph_labels(graph: Labels) -> Labels:
    """The neurites' skeleton for the screen: three pixels wide, to be seen at any zoom.

    What is attributed to no cell gets the next number after the cells'.
    """
    thick = compact(
        np.where(
            graph == UNATTRIBUTED, np.max(graph, initial=0, where=graph != UNATTRIBUTED) + 1, graph
        )
    )
    for axis in (0, 1):
        for image in (np.moveaxis(thick, axis, 0), np.moveaxis(thick, axis, 0)[::-1]):
            thin = image.copy()
            image[1:] = np.where(thin[1:] > 0, thin[1:], thin[:-1])
    return thick
