"""Pieces of one object: what may carry one number after a correction.

A number that is in use, painted again elsewhere, would make two cells one row of the cell table, or
two puncta one. Only what a correction makes is refused: an engine may give an object that lies in
pieces, and such an object must not keep a reviewer from saving.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imaging_service.errors import ReviewRefused

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]
    Mask = NDArray[np.bool_]

# Pieces of one cell that are merged are at most this far apart, by the boxes around them. What is
# painted with a number in use must be closer: merging names both cells, painting may be a slip.
APART_PX = 15
_CELL = ("nuclei", "somas")
_SPOTS = ("puncta", "granules")


def check_pieces(before: Mapping[str, Labels], after: Mapping[str, Labels], where: str) -> None:
    """Raise ReviewRefused where a correction gives one number to what lies apart.

    A number may lie in as many groups of pieces as the one object had that it was made of. A cell's
    nucleus and soma are looked at one by one, and together.

    Parameters
    ----------
    before, after
        Labels (Y, X) of the whole field per compartment; one that `after` lacks is unchanged.
    where
        Well and field, for the refusal.
    """
    import numpy as np

    cell = [name for name in _CELL if name in before]
    looked_at = [([name], APART_PX) for name in cell]
    looked_at += [(cell, APART_PX)] if len(cell) > 1 else []
    # Spots are counted by their numbers, so each must be one piece: the next begins beside it.
    looked_at += [([name], 0) for name in _SPOTS if name in before]
    for names, apart in looked_at:
        was = [np.asarray(before[name]) for name in names]
        now = [np.asarray(after.get(name, before[name])) for name in names]
        moved = [a != b for a, b in zip(was, now, strict=True)]
        changed = [i[m] for images in (was, now) for i, m in zip(images, moved, strict=True)]
        numbers = [int(n) for n in np.unique(np.concatenate(changed)) if n]
        boxes = [_boxes(image) for image in now] if numbers else []
        for number in numbers:
            place = _around([b[number] for b in boxes if number in b])
            groups = None if place is None else _too_many(was, now, number, place, apart)
            if groups is not None:
                raise ReviewRefused(f"{where}: {_words(names, number, groups)}")


def box_gap(first: Sequence[int], second: Sequence[int]) -> int:
    """Pixels from one box (top, bottom, left, right) to another; 1 where they touch."""
    return max(max(first[i], second[i]) - min(first[i + 1], second[i + 1]) for i in (0, 2))


def box_around(mask: Mask) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of what a mask holds, which must not be empty."""
    import numpy as np

    y, x = np.nonzero(mask)
    return int(y.min()), int(y.max()), int(x.min()), int(x.max())


def _too_many(
    was: Sequence[Labels],
    now: Sequence[Labels],
    number: int,
    place: tuple[slice, slice],
    apart: int,
) -> NDArray[np.integer[Any]] | None:
    """The groups of pieces of a number, where the correction made more than there may be."""
    import numpy as np

    mask = np.any([image[place] == number for image in now], axis=0)
    merged = np.any([image[place] > 0 for image in was], axis=0)[mask].all()
    apart += bool(merged and apart)
    groups = _groups(mask, apart)
    count = int(groups.max(initial=0))
    if count < 2:
        return None
    most = 1
    for old in {int(n) for image in was for n in np.unique(image[place][mask])} - {0}:
        whole = _groups(np.any([image == old for image in was], axis=0), apart)
        most = max(most, len(np.unique(whole[place][mask & (whole[place] > 0)])))
    return groups if count > most else None


def _groups(mask: Mask, apart: int) -> NDArray[np.integer[Any]]:
    """The pieces of a mask; those closer than `apart` by their boxes have one number."""
    import numpy as np
    from scipy import ndimage
    from scipy.sparse import csgraph

    pieces, count = ndimage.label(mask, np.ones((3, 3)))
    if count < 2 or not apart:
        return np.asarray(pieces)
    boxes = [(y.start, y.stop - 1, x.start, x.stop - 1) for y, x in ndimage.find_objects(pieces)]
    near = np.array([[box_gap(a, b) < apart for b in boxes] for a in boxes])
    return np.append(0, 1 + csgraph.connected_components(near)[1])[pieces]


def _boxes(image: Labels) -> dict[int, tuple[slice, slice]]:
    from scipy import ndimage

    boxes = enumerate(ndimage.find_objects(image), start=1)
    return {n: (box[0], box[1]) for n, box in boxes if box is not None}


def _around(boxes: Sequence[tuple[slice, slice]]) -> tuple[slice, slice] | None:
    if not boxes:
        return None
    y, x = (
        slice(min(box[axis].start for box in boxes), max(box[axis].stop for box in boxes))
        for axis in (0, 1)
    )
    return y, x


def _words(names: Sequence[str], number: int, groups: NDArray[np.integer[Any]]) -> str:
    """What is wrong, and what to do."""
    count = int(groups.max())
    if names[0] in _SPOTS:
        return (
            f"{names[0]} {number} lies in {count} pieces that do not touch, and would be counted as"
            " one; give each piece a number of its own"
        )
    boxes = [box_around(groups == g) for g in range(1, count + 1)]
    gap = min(box_gap(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
    return (
        f"{' and '.join(names)} {number} lie in pieces {gap} pixels apart, and would become one"
        f" cell; only pieces less than {APART_PX} pixels apart may be painted with one number, so"
        " give what was added a number that no cell has"
    )
