"""Whether an image was compressed with loss: the blocks of a JPEG.

A JPEG rounds each block of 8 × 8 pixels by itself. Noise and small structures inside the blocks
are lost and steps between the blocks appear, which are found as spots and as neurites. Steps every
eighth pixel along both axes are nothing that cells or cameras make, and they stay when the image
is saved again without loss.
"""

from __future__ import annotations

import numpy as np

from segmentation.field import Image

_BLOCK = 8
# Fewer blocks along an axis cannot tell their steps from chance.
_LEAST_BLOCKS = 8
# Rise of the steps between blocks over those beside them, of the mean step. Drawn fields have 0.17
# and more up to a quality of 90 (0.02 to 0.5 at 95, where noise may hide the rounding), and at most
# 0.10 without compression. Of 1,056 photographs nine have more than 0.15: seven show the artefacts
# of a JPEG to the eye, the others are nearly black.
_RISE = 0.15


def has_jpeg_blocks(image: Image) -> bool:
    """Whether the image (Y, X) shows the blocks of a JPEG along both axes.

    Examples
    --------
    >>> import numpy as np
    >>> from phenotypes.cells.compression import has_jpeg_blocks
    >>> noise = np.random.default_rng(0).normal(100, 5, (256, 256)).astype(np.float32)
    >>> blocks = np.kron(np.random.default_rng(1).normal(0, 5, (32, 32)), np.ones((8, 8)))
    >>> has_jpeg_blocks(noise), has_jpeg_blocks(noise + blocks.astype(np.float32))
    (False, True)
    """
    return min(_rise(image, 0), _rise(image, 1)) > _RISE


def _rise(image: Image, axis: int) -> float:
    """How much the steps at one place of eight rise over their neighbours', in mean steps."""
    steps = np.abs(np.diff(image, axis=axis)).mean(axis=1 - axis)
    rises = steps[1:-1] - (steps[:-2] + steps[2:]) / 2
    blocks = len(rises) // _BLOCK
    middle = float(steps.mean()) if len(steps) else 0.0
    if blocks < _LEAST_BLOCKS or not middle > 0:
        return 0.0
    # The median leaves out single steps, as between the images of a mosaic.
    typical = np.median(rises[: blocks * _BLOCK].reshape(blocks, _BLOCK), axis=0)
    return float(typical.max()) / middle
