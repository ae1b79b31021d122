"""Background and illumination: what must be taken away before intensities are compared.

Each field's own background (camera offset, medium, haze) is subtracted as one number. The
illumination profile of the optics (vignetting) is estimated once per plate and channel and divided
out. A sparse culture has too few cells for a mean image, in which every bright cell would leave its
ghost; but the brightness of lit pixels can be regressed on their position, and the optics' profile
is smooth, so six coefficients of a second-order polynomial describe it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from segmentation.field import Field, Image, Mask
from segmentation.filters.light_profile import LightProfile

# No usable microscope is unevenly lit by more than this factor.
DEEPEST = 4.0
_BLOCKS = 16
_FLAT = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
MIN_FIELDS = 8


def background_level(image: Image, within: Mask | None = None) -> float:
    """Background of a field in grey levels.

    The 10th percentile of the means of blocks of 16 × 16 pixels. Blocks average the noise away, so
    that a low percentile of them is the level between the cells and not the lower tail of the
    noise. In a confluent field no block is free of cells and the level is too high; the field's QC
    says so. `within` (Y, X) restricts it to blocks that lie wholly inside a mask, or failing those
    to the mask's pixels.
    """
    height, width = image.shape
    size = max(1, width // 16), max(1, height // 16)
    blocks = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if within is not None:
        whole = cv2.resize(within.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.999
        blocks = blocks[whole] if whole.any() else image[within]
    return float(np.percentile(blocks, 10)) if blocks.size else 0.0


def noise_level(image: Image, within: Mask | None = None) -> float:
    """Standard deviation of the pixel noise in grey levels, from the 2 × 2 second difference.

    It cancels all structure that is smooth over 2 px; the MAD makes it robust against edges (after
    Immerkær, Comput. Vis. Image Underst. 64:300, 1996). `within` restricts it to a (Y, X) mask:
    shot noise is larger where light is.
    """
    upper, lower = image[:-1], image[1:]
    keep = None if within is None else within[1:, 1:]
    if image.size >= 2**18 and (within is None or within.mean() > 0.5):
        # A quarter of a million pixels is sample enough: the medians would cost more than the
        # segmentation.
        step = max(4, image.size // 2**18)
        upper, lower = upper[::step], lower[::step]
        keep = None if keep is None else keep[::step]
    residual = (lower[:, 1:] - lower[:, :-1] - upper[:, 1:] + upper[:, :-1]) / 2.0
    values = residual if keep is None else residual[keep]
    if values.size == 0:
        return 0.0
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


@dataclass(frozen=True)
class Illumination:
    """Relative illumination of each channel, mean 1 over the field.

    `coefficients[c]` multiply 1, y, x, y², yx, x² with y and x in -1 … 1 and give the logarithm of
    the profile. `applied[c]` is False where no profile was found, with the reason in `reasons[c]`.
    `given[c]` is the instrument's profile, which then stands in place of the estimated one.

    Examples
    --------
    >>> from segmentation import Illumination
    >>> flat = Illumination(((1.0, 0.0, 0.0, 0.0, 0.0, 0.0),), (False,), ("too few fields",))
    >>> flat
    Illumination(0 of 1 channels corrected)
    >>> float(flat.profile(0, (2, 3)).mean())
    1.0
    """

    coefficients: tuple[tuple[float, ...], ...]
    applied: tuple[bool, ...]
    reasons: tuple[str, ...]
    given: tuple[LightProfile | None, ...] = ()

    def __repr__(self) -> str:
        return f"Illumination({sum(self.applied)} of {len(self.applied)} channels corrected)"

    def profile(self, channel: int, shape: tuple[int, int]) -> Image:
        """(Y, X) relative illumination, mean 1.

        Read-only: it is computed once for all fields of a plate.
        """
        if not self.applied[channel]:
            return np.ones(shape, np.float32)
        given = self.given[channel] if self.given else None
        if given is not None:
            return given.relative(shape)
        return _surface(self.coefficients[channel], shape)

    def correct(self, field: Field) -> Field:
        """(pixels - background) / profile of each channel with a profile.

        Raises ValueError if the numbers of channels differ.
        """
        if len(self.coefficients) != field.pixels.shape[0]:
            raise ValueError(
                f"the profile has {len(self.coefficients)} channels, but the field has"
                f" {field.pixels.shape[0]}"
            )
        if not any(self.applied):
            return field
        planes = []
        for c, applied in enumerate(self.applied):
            plane = np.asarray(field.pixels[c], np.float32)
            planes.append(
                (plane - background_level(plane, field.valid_area.inside))
                / self.profile(c, field.shape)
                if applied
                else plane
            )
        # What is outside was recognised by its constant level, which the division has bent.
        return Field(np.stack(planes), field.roles, field.pixel_size_um, field.valid_area)


def no_illumination(channels: int, reason: str) -> Illumination:
    """The flat profile, with the reason why none was estimated."""
    return Illumination((_FLAT,) * channels, (False,) * channels, (reason,) * channels)


def estimate_illumination(fields: Sequence[Field]) -> Illumination:
    """Fit each channel's illumination over many fields of a plate.

    Every field is cut into 16 × 16 blocks; a block with at least 2 % lit pixels (above background
    by 6 × noise) gives the log of its lit pixels' mean. A polynomial in the block's position is
    fitted to all of them by iteratively reweighted least squares (Huber). Under MIN_FIELDS fields,
    or where the profile is not deeper than three times its standard error, nothing is corrected and
    the reason is kept.

    Examples
    --------
    >>> import numpy as np
    >>> from segmentation import Field, estimate_illumination
    >>> few = [Field(np.zeros((1, 64, 64), np.uint16), ("dna",), 0.65)] * 3
    >>> estimate_illumination(few).reasons
    ('fewer than 8 fields to estimate it from',)
    """
    if not fields:
        raise ValueError("no field to estimate the illumination from")
    channels = fields[0].pixels.shape[0]
    if len(fields) < MIN_FIELDS:
        return no_illumination(channels, f"fewer than {MIN_FIELDS} fields to estimate it from")
    fits = [
        _fit_profile(
            [np.asarray(f.pixels[c], np.float32) for f in fields],
            [f.valid_area.inside for f in fields],
        )
        for c in range(channels)
    ]
    coefficients, reasons = zip(*fits, strict=True)
    return Illumination(tuple(coefficients), tuple(not r for r in reasons), tuple(reasons))


def _fit_profile(planes: list[Image], valid: list[Mask | None]) -> tuple[tuple[float, ...], str]:
    grid = _basis((_BLOCKS, _BLOCKS)).astype(np.float64)
    rows, values = [], []
    for plane, inside in zip(planes, valid, strict=True):
        image = plane - background_level(plane, inside)
        lit = (image > 6 * max(noise_level(plane, inside), 1e-6)).astype(np.float32)
        if inside is not None:
            lit[~inside] = 0
        share = cv2.resize(lit, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA).ravel()
        light = cv2.resize(image * lit, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA).ravel()
        used = share >= 0.02
        if used.sum() < 8:
            continue
        log = np.log(light[used] / share[used])
        rows.append(grid[used])
        # Each field to its own mean: a well with brighter staining must not tilt the profile.
        values.append(log - np.median(log))
    if not rows or sum(map(len, values)) < 200:
        return _FLAT, "too little light in the channel to see a profile"
    X, y = np.concatenate(rows), np.concatenate(values)
    weights = np.ones_like(y)
    for _ in range(20):
        root = np.sqrt(weights)
        fit = np.linalg.lstsq(X * root[:, None], y * root, rcond=None)[0]
        residual = y - X @ fit
        spread = 1.4826 * np.median(np.abs(residual)) + 1e-9
        weights = np.minimum(1.0, 1.345 * spread / np.maximum(np.abs(residual), 1e-12))
    surface = grid @ fit
    depth = float(np.exp(surface.max()) - np.exp(surface.min()))
    error = float(spread * np.sqrt(np.diag(grid @ np.linalg.inv(X.T @ X) @ grid.T).max() * 2))
    if surface.max() - surface.min() > np.log(DEEPEST):
        return (
            _FLAT,
            f"a profile {np.exp(surface.max() - surface.min()):.1f} × deep is cells, not optics",
        )
    if depth <= 3 * error:
        return (
            _FLAT,
            f"no profile beyond its uncertainty (depth {depth:.3f}, standard error {error:.3f})",
        )
    return tuple(float(f"{v:.8g}") for v in fit), ""


@lru_cache(maxsize=8)
def _surface(coefficients: tuple[float, ...], shape: tuple[int, int]) -> Image:
    y, x = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])[None, :]
    a, b, c, d, e, f = coefficients
    # Term by term: a matrix product's last digits depend on how many threads its library happens to
    # use.
    surface = np.exp(a + b * y + c * x + d * (y * y) + e * (y * x) + f * (x * x))
    profile = np.asarray(surface / surface.mean(), np.float32)
    profile.flags.writeable = False
    return profile


def _basis(shape: tuple[int, int]) -> NDArray[np.float32]:
    y, x = np.meshgrid(
        np.linspace(-1, 1, shape[0], dtype=np.float32),
        np.linspace(-1, 1, shape[1], dtype=np.float32),
        indexing="ij",
    )
    return np.stack([np.ones_like(y), y, x, y * y, y * x, x * x], axis=-1).reshape(-1, 6)
