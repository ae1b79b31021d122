"""Labels in rectangles of a field: how a correction is applied, stored and sent."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imaging_service.files import ZIP_UNREADABLE
from imaging_service.schemas import Region

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Labels = NDArray[np.int32]

# Five compartments of the largest camera's field.
_MOST_PIXELS = 5 * 5000 * 5000


@dataclass(frozen=True)
class Crop:
    """Labels of one compartment in a rectangle of a field, from (y, x)."""

    compartment: str
    y: int
    x: int
    labels: NDArray[np.integer[Any]]
    frame: int = 1

    @property
    def region(self) -> Region:
        """Where it lies."""
        height, width = self.labels.shape
        return Region(
            compartment=self.compartment,
            frame=self.frame,
            y=self.y,
            x=self.x,
            height=height,
            width=width,
        )

    @property
    def place(self) -> tuple[slice, slice]:
        """Its rows and columns in the field."""
        height, width = self.labels.shape
        return slice(self.y, self.y + height), slice(self.x, self.x + width)


def pack(meta: object, crops: Sequence[Crop]) -> bytes:
    """Crops as .npz: `crop_0`, `crop_1`, … and `meta`, JSON as bytes. `unpack` reads it.

    Compressed at level 1: a reviewer waits for it, and level 9 makes labels hardly smaller.
    """
    import numpy as np

    arrays: dict[str, Any] = {f"crop_{i}": c.labels for i, c in enumerate(crops)}
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as part:
                np.lib.format.write_array(part, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def unpack(content: bytes, regions_of: Callable[[Any], Iterable[Region]]) -> tuple[Any, list[Crop]]:
    """Meta and crops of what `pack` wrote.

    Raises ValueError for a damaged file, or labels that do not fit their region. Each array's
    header is compared with its region before anything is allocated: a few bytes may claim, or
    inflate to, any size.
    """
    import numpy as np

    crops = []
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            meta = json.loads(_array(archive, "meta", (None,), (np.uint8,)).tobytes())
            regions = list(regions_of(meta))
            if sum(r.height * r.width for r in regions) > _MOST_PIXELS:
                raise ValueError(f"the regions have more than {_MOST_PIXELS:,} pixels together")
            for i, r in enumerate(regions):
                labels = _array(
                    archive, f"crop_{i}", (r.height, r.width), (np.int32, np.uint16)
                ).astype(np.int32)
                crops.append(Crop(r.compartment, r.y, r.x, labels, r.frame))
    except (*ZIP_UNREADABLE, KeyError) as error:
        raise ValueError(str(error)) from error
    return meta, crops


def _array(
    archive: zipfile.ZipFile, name: str, shape: tuple[int | None, ...], kinds: tuple[Any, ...]
) -> NDArray[Any]:
    """An array of a .npz, if it has this shape (None: any up to 2^20) and one of these types.

    Raises ValueError for any other.
    """
    import numpy as np

    with archive.open(f"{name}.npy") as part:
        if np.lib.format.read_magic(part) != (1, 0):
            raise ValueError(f"{name} is not an array in version 1.0 of NumPy's format")
        stored, _, dtype = np.lib.format.read_array_header_1_0(part)
        expected = tuple(
            min(n, 2**20) if e is None else e for n, e in zip(stored, shape, strict=False)
        )
        if (
            len(stored) != len(shape)
            or stored != expected
            or dtype not in [np.dtype(k) for k in kinds]
        ):
            raise ValueError(
                f"{name} is {stored} {dtype}, not {' or '.join(np.dtype(k).name for k in kinds)} of"
                f" its region {expected}"
            )
        size = int(np.prod(stored)) * dtype.itemsize
        content = part.read(size)
        if len(content) != size:
            raise ValueError(f"{name} is truncated")
        return np.frombuffer(content, dtype).reshape(stored)


def with_crops(
    base: Mapping[str, Labels], crops: Iterable[Crop], frame: int = 1
) -> dict[str, Labels]:
    """Labels of a time point with corrections applied in order; `base` is not written to."""
    labels = dict(base)
    for crop in crops:
        if crop.frame == frame:
            if labels[crop.compartment] is base[crop.compartment]:
                labels[crop.compartment] = labels[crop.compartment].copy()
            labels[crop.compartment][crop.place] = crop.labels
    return labels


def shifted(crop: Crop, y: int, x: int, shape: tuple[int, ...]) -> Crop | None:
    """The part of a crop inside a window of `shape` at (y, x); None where they do not overlap.

    `crop` is in pixels of the field, what is returned in pixels of the window.
    """
    top, left = max(crop.y, y), max(crop.x, x)
    bottom, right = (
        min(crop.y + crop.labels.shape[0], y + shape[0]),
        min(crop.x + crop.labels.shape[1], x + shape[1]),
    )
    if top >= bottom or left >= right:
        return None
    return replace(
        crop,
        y=top - y,
        x=left - x,
        labels=crop.labels[top - crop.y : bottom - crop.y, left - crop.x : right - crop.x],
    )
