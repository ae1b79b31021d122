"""A field as a reviewer sees it: lazy pixels, and labels inside a window.

Its store is on the disk or behind a service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from imaging_service.errors import StoreError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]

# Labels below this fit into 16 bits, and so do some thousand more that a reviewer may paint.
_SMALL = 60_000
# A row of a table, values as text.
Row = dict[str, str]


class Window(NamedTuple):
    """A rectangle of a field, in pixels of the full resolution."""

    y: int
    x: int
    height: int
    width: int


@dataclass(frozen=True)
class FieldImage:
    """One field at one time point, and its labels inside a window.

    `levels` are lazy arrays (C, Y, X), or (T, C, Y, X) in a time-lapse, each half as large as the
    one before; nothing is read before it is indexed. `labels` (Y, X) begin at `origin` (y, x) in
    pixels; so does `graph`, the neurites' skeleton, None where it was not kept. `hours` are those
    of the time points, none where the store has not kept them.
    """

    levels: tuple[Any, ...]
    channels: tuple[str, ...]
    roles: tuple[str | None, ...]
    labels: Mapping[str, Labels]
    pixel_size_um: float
    label_version: int = 1
    frame: int = 1
    hours: tuple[float, ...] = ()
    origin: tuple[int, int] = (0, 0)
    graph: Labels | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) of the whole field."""
        height, width = self.levels[0].shape[-2:]
        return int(height), int(width)

    @property
    def frames(self) -> int:
        """Time points of the field."""
        return int(self.levels[0].shape[0]) if len(self.levels[0].shape) == 4 else 1

    @property
    def pixels(self) -> NDArray[np.generic]:
        """(C, Y, X) of the time point at full resolution, read now."""
        import numpy as np

        whole = self.levels[0]
        return np.asarray(whole[...] if len(whole.shape) == 3 else whole[self.frame - 1])


@dataclass(frozen=True)
class FieldPixels:
    """Lazy levels of a field, with channels, roles, pixel size and contrast (low, high)."""

    levels: tuple[Any, ...]
    channels: tuple[str, ...]
    roles: tuple[str | None, ...]
    pixel_size_um: float
    hours: tuple[float, ...]
    contrast: tuple[tuple[float, float], ...] = field(default=())


def compact(labels: Labels) -> Labels:
    """Labels as uint16 where their numbers fit, with room for new ones.

    That halves the memory and the time to draw them.
    """
    import numpy as np

    return labels.astype(np.uint16) if labels.max(initial=0) < _SMALL else labels


def well_group(well: str) -> str:
    """Path of a well inside a plate: "B/3"."""
    row = well.rstrip("0123456789")
    return f"{row}/{int(well[len(row) :])}"


def read_pixels(group: Any) -> FieldPixels:
    """Lazy pixels from a field's group in an OME-Zarr plate of this service; no pixel is read."""
    ome = group.attrs["ome"]
    datasets = ome["multiscales"][0]["datasets"]
    scale = datasets[0]["coordinateTransformations"][0]["scale"]
    channels = ome["omero"]["channels"]
    return FieldPixels(
        tuple(group[d["path"]] for d in datasets),
        tuple(c["label"] for c in channels),
        tuple(group.attrs["motor_neuron"]["roles"]),
        float(scale[-1]),
        tuple(float(h) for h in group.attrs["motor_neuron"].get("hours", ())),
        tuple((float(c["window"]["start"]), float(c["window"]["end"])) for c in channels),
    )


def audit(array: Any, where: str) -> None:
    """Raise StoreError if a chunk of an array is missing: zarr reads it as zeros."""
    if array.nchunks_initialized != array.nchunks:
        raise StoreError(
            f"{where}: {array.nchunks_initialized} of {array.nchunks} chunks are there; the missing"
            " ones would read as zeros"
        )


def read_window(array: Any, frame: int, window: Window | None) -> NDArray[np.int32]:
    """A label image's time point, or a window of it."""
    import numpy as np

    lead = () if array.ndim == 2 else (frame - 1,)
    inside = (
        (...,)
        if window is None
        else (slice(window.y, window.y + window.height), slice(window.x, window.x + window.width))
    )
    return np.asarray(array[(*lead, *inside)], np.int32)
