"""Run a network over fields of any size in tiles, with bounded memory and one answer.

Tiles of several fields share a batch. Every output pixel comes from exactly one tile, which saw
HALO pixels around it; nothing is blended, so neither the order of the tiles nor the size of a batch
can change a label. Tiles are fitted to the field: as few as their largest edge allows, and no
larger than they must be, so that little is computed twice. A field smaller than a tile is one tile,
padded to the multiple that the network needs. The device holds one batch at a time, whatever the
size of the field.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.floating[Any]]

# Largest edge of a tile. Four tiles of a 2160² field read 1.11 times its pixels, and a field of
# 1024² is one tile; larger tiles would save little more, and the network's memory grows with them.
TILE = 1152
HALO = 48


@dataclass(frozen=True)
class Tile:
    """Corner (y, x) of what a tile reads from the padded field, and the part of it that counts."""

    corner: tuple[int, int]
    inner: tuple[slice, slice]  # in the tile
    target: tuple[slice, slice]  # in the padded field


def padded_shape(shape: tuple[int, int], multiple: int) -> tuple[int, int]:
    """Smallest shape that tiles: multiples of `multiple`."""
    return -(-shape[0] // multiple) * multiple, -(-shape[1] // multiple) * multiple


def tiles(
    shape: tuple[int, int], size: int = TILE, halo: int = HALO, multiple: int = 16
) -> tuple[tuple[int, int], list[Tile]]:
    """Shape of a tile, and the tiles that cover a padded field, in scan order.

    The edges of the field, `size` and 2 × `halo` are multiples of `multiple`; so are then the
    corners, and the blocks of pixels that the network pools are those of the whole field.
    """
    tile = (_edge(shape[0], size, halo, multiple), _edge(shape[1], size, halo, multiple))
    rows, columns = (_spans(n, edge, halo) for n, edge in zip(shape, tile, strict=True))
    made = []
    for y, y0, y1 in rows:
        for x, x0, x1 in columns:
            made.append(
                Tile(
                    (y, x),
                    (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x)),
                    (slice(y0, y1), slice(x0, x1)),
                )
            )
    return tile, made


def _edge(length: int, size: int, halo: int, multiple: int) -> int:
    """Edge of the tiles along one axis: of as few as `size` allows, the smallest."""
    if length <= size:
        return length
    count = -(-(length - 2 * halo) // (size - 2 * halo))
    edge = -(-(length + 2 * halo * (count - 1)) // count)
    return -(-edge // multiple) * multiple


def _spans(length: int, edge: int, halo: int) -> list[tuple[int, int, int]]:
    """(start of the tile, start and end of what it answers for) along one axis."""
    step = edge - 2 * halo
    count = 1 if length == edge else -(-(length - 2 * halo) // step)
    starts = [min(i * step, length - edge) for i in range(count)]
    ends = [s + edge - halo for s in starts[:-1]] + [length]
    return list(zip(starts, [0, *ends[:-1]], ends, strict=True))


class OutOfDeviceMemory(MemoryError):
    """The device is too small even for a quarter of the batch.

    The machine's fault, not the image's.
    """


@dataclass
class _Pending:
    padded: tuple[int, int]
    shape: tuple[int, int]
    left: int
    outputs: list[Planes] = field(default_factory=list)


Network = Callable[[Planes], tuple[Planes, ...]]


@dataclass
class TileRunner:
    """Feeds a network.

    Parameters
    ----------
    network
        (N, C, Y, X) ► arrays (N, K, Y / s, X / s) with whole s; the same answer for an image in any
        batch.
    batch
        Tiles at a time. Halved, at most twice, when `out_of_memory` is raised.
    multiple
        Tiles' edges are multiples of it.
    """

    network: Network
    batch: int
    multiple: int
    out_of_memory: tuple[type[BaseException], ...] = ()
    size: int = TILE
    halo: int = HALO
    _halvings: int = 0

    def run(self, images: Iterable[Planes]) -> Iterator[tuple[Planes, ...]]:
        """(C, Y, X) planes of each field ► its outputs, in order.

        Each comes as soon as its last tile is done.
        """
        pending: deque[_Pending] = deque()
        waiting: deque[tuple[_Pending, Tile, Planes]] = deque()
        for planes in images:
            padded = _pad(planes, padded_shape((planes.shape[1], planes.shape[2]), self.multiple))
            tile_shape, cut = tiles(
                (padded.shape[1], padded.shape[2]), self.size, self.halo, self.multiple
            )
            if waiting and waiting[0][2].shape[1:] != tile_shape:
                yield from self._evaluate(waiting, pending, len(waiting))
            pending.append(
                _Pending(
                    (padded.shape[1], padded.shape[2]), (planes.shape[1], planes.shape[2]), len(cut)
                )
            )
            for tile in cut:
                y, x = tile.corner
                waiting.append(
                    (pending[-1], tile, padded[:, y : y + tile_shape[0], x : x + tile_shape[1]])
                )
            # The tiles alone hold the pixels from here on, and let go of them as they are answered.
            del planes, padded
            while len(waiting) >= self.batch:
                yield from self._evaluate(waiting, pending, self.batch)
        while waiting:
            yield from self._evaluate(waiting, pending, self.batch)

    def _evaluate(
        self, waiting: deque[tuple[_Pending, Tile, Planes]], pending: deque[_Pending], count: int
    ) -> Iterator[tuple[Planes, ...]]:
        now = [waiting.popleft() for _ in range(min(count, len(waiting)))]
        for (target, tile, pixels), outputs in zip(
            now, self._answers([p for _, _, p in now]), strict=True
        ):
            _place(target, tile, pixels.shape, outputs)
            target.left -= 1
        del now
        while pending and pending[0].left == 0:
            yield _finish(pending.popleft())

    def _answers(self, images: list[Planes]) -> Iterator[tuple[Planes, ...]]:
        start = 0
        while start < len(images):
            part = images[start : start + self.batch]
            try:
                outputs = self.network(np.stack(part))
            except self.out_of_memory as error:
                if self._halvings == 2 or self.batch == 1:
                    raise OutOfDeviceMemory(
                        f"the device has too little memory for {self.batch} tiles of"
                        f" {part[0].shape[1]} × {part[0].shape[2]} pixels, after the batch was"
                        " halved; close other programs on it or take a larger device"
                    ) from error
                self._halvings += 1
                self.batch //= 2
                continue
            for i in range(len(part)):
                yield tuple(o[i] for o in outputs)
            start += len(part)


def _pad(planes: Planes, shape: tuple[int, int]) -> Planes:
    bottom, right = shape[0] - planes.shape[1], shape[1] - planes.shape[2]
    if not (bottom or right):
        return planes
    return np.stack(
        [cv2.copyMakeBorder(p, 0, bottom, 0, right, cv2.BORDER_REFLECT) for p in planes]
    )


def _place(
    target: _Pending, tile: Tile, read: tuple[int, ...], outputs: tuple[Planes, ...]
) -> None:
    if not target.outputs:
        target.outputs = [
            np.empty((o.shape[0], *(n * o.shape[1] // read[1] for n in target.padded)), o.dtype)
            for o in outputs
        ]
    for whole, part in zip(target.outputs, outputs, strict=True):
        s = read[1] // part.shape[1]
        ty, tx = (slice(w.start // s, w.stop // s) for w in tile.target)
        iy, ix = (slice(w.start // s, w.stop // s) for w in tile.inner)
        whole[:, ty, tx] = part[:, iy, ix]


def _finish(done: _Pending) -> tuple[Planes, ...]:
    """Outputs without the padding."""
    cropped = []
    for output in done.outputs:
        s = done.padded[0] // output.shape[1]
        cropped.append(output[:, : -(-done.shape[0] // s), : -(-done.shape[1] // s)])
    return tuple(cropped)
