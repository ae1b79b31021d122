"""Background and illumination: what must be taken away before intensities are compared.

A field's background is the camera's level without light and what medium and haze shine. The lamp
lights haze as it lights cells, so the camera's level is told from it by how the background follows
the profile: pixels less that level are divided by the profile, and what is left of the background
is subtracted as one number. The illumination profile of the optics (vignetting) is estimated once
per plate and channel. A sparse culture has too few cells for a mean image, in which every bright
cell would leave its ghost; but the brightness of lit pixels can be regressed on their position, and
the optics' profile is smooth, so six coefficients of a second-order polynomial describe it.
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
_BANDS = 8
# A tenth of a normal variable lies so many standard deviations below its mean.
_BELOW_10 = 1.2816
# A low percentile of fewer blocks is their lowest one.
_FEWEST_BLOCKS = 10
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
    `dark[c]` is the camera's level without light in grey levels, None where the background does not
    tell it: the background is then taken to be without haze.

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
    dark: tuple[float | None, ...] = ()

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
        """(pixels - dark) / profile, less its background, of each channel with a profile.

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
            if applied:
                inside, dark = field.valid_area.inside, self.dark[c] if self.dark else None
                level = background_level(plane, inside) if dark is None else dark
                plane = (plane - np.float32(level)) / self.profile(c, field.shape)
                if dark is not None:
                    plane -= np.float32(background_level(plane, inside))
            planes.append(plane)
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
    fits = [_fit([_Plane.of(f, c) for f in fields]) for c in range(channels)]
    coefficients, reasons, dark = zip(*fits, strict=True)
    return Illumination(
        tuple(coefficients), tuple(not r for r in reasons), tuple(reasons), dark=tuple(dark)
    )


@dataclass(frozen=True)
class _Plane:
    """A channel of a field as the fits need it: some of its pixels, and the means of its blocks."""

    pixels: Image
    inside: Mask | None  # of the pixels
    blocks: Image
    whole: Mask  # blocks that lie wholly inside
    noise: float

    @classmethod
    def of(cls, field: Field, channel: int) -> _Plane:
        image = np.asarray(field.pixels[channel], np.float32)
        inside = field.valid_area.inside
        height, width = image.shape
        size = max(1, width // 16), max(1, height // 16)
        blocks = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        whole = np.ones(blocks.shape, bool)
        if inside is not None:
            share = cv2.resize(inside.astype(np.float32), size, interpolation=cv2.INTER_AREA)
            whole = share > 0.999
        # A quarter of a million pixels of each field tell the light as well as four millions.
        step = max(1, round((image.size / 2**18) ** 0.5))
        return cls(
            image[::step, ::step],
            None if inside is None else inside[::step, ::step],
            blocks,
            whole,
            max(noise_level(image, inside), 1e-6),
        )

    def background(self, dark: float = 0.0, profile: Image | None = None) -> float:
        """Level between the cells once light is even.

        As `background_level`, or where cells lie in every block the 10th percentile of the pixels
        less what noise makes it lower.
        """
        pixels = self.pixels if self.inside is None else self.pixels[self.inside]
        blocks = self.blocks[self.whole]
        if profile is not None:
            of_pixels = profile if self.inside is None else profile[self.inside]
            pixels = (pixels - np.float32(dark)) / of_pixels
            height, width = self.blocks.shape
            of_blocks = cv2.resize(profile, (width, height), interpolation=cv2.INTER_AREA)
            blocks = (blocks - np.float32(dark)) / of_blocks[self.whole]
        level = float(np.percentile(pixels, 10)) + _BELOW_10 * self.noise
        return min(level, float(np.percentile(blocks, 10))) if blocks.size else level


def _fit(planes: Sequence[_Plane]) -> tuple[tuple[float, ...], str, float | None]:
    """Coefficients of a channel's profile, why there is none, and the camera's dark level."""
    shape = planes[0].pixels.shape
    bowl = _bowl(planes, shape)
    fitted, reason = _fit_profile(planes, [plane.background() + bowl for plane in planes])
    dark = None if reason else _dark_level(planes, _surface(fitted, shape))
    return fitted, reason, dark


def _bowl(planes: Sequence[_Plane], shape: tuple[int, int]) -> Image:
    """(Y, X) by how much the background of a place differs from that of its field.

    A second-order polynomial through the low percentiles of 16 parts of each field; 0 where it is
    not deeper than three times its standard error, or than the step of a grey level.
    """
    rows, values = [], []
    for plane in planes:
        height, width = plane.blocks.shape
        grid = _basis((height, width)).reshape(height, width, 6)
        darkest, lows = [], []
        for y, x in np.ndindex(4, 4):
            part = np.s_[
                y * height // 4 : (y + 1) * height // 4, x * width // 4 : (x + 1) * width // 4
            ]
            whole = plane.whole[part]
            if whole.sum() >= _FEWEST_BLOCKS:
                low = whole & (plane.blocks[part] <= np.percentile(plane.blocks[part][whole], 10))
                darkest.append(grid[part][low].mean(axis=0))
                lows.append(float(plane.blocks[part][low].mean()))
        if len(lows) >= 8:
            rows += darkest
            # Each field to its own level: haze differs from well to well.
            values += list(np.array(lows) - plane.background())
    if len(values) < 100:
        return np.zeros(shape, np.float32)
    design = np.array(rows)
    fit, spread, weights = _robust_fit(design, np.array(values))
    covariance = np.linalg.pinv((design * weights[:, None]).T @ design)
    basis = _basis((_BLOCKS, _BLOCKS))
    error = spread * np.sqrt(np.diag(basis @ covariance @ basis.T).max())
    if np.ptp(basis @ fit) <= max(3 * error, 1.0):
        return np.zeros(shape, np.float32)
    return np.asarray((_basis(shape) @ fit).reshape(shape), np.float32)


def dark_level(fields: Sequence[Field], channel: int, profile: Image) -> float | None:
    """The camera's level without light, in grey levels: what of the background is not lit.

    In each of eight bands of the profile a field's background is the level of its darkest blocks.
    Over the bands it is the dark level, the same in all fields, and the field's haze times the
    profile (Huber's weights). None for fewer than MIN_FIELDS fields, and where that haze is not
    above three of its standard errors: the background is then as even as a camera's.
    """
    return _dark_level([_Plane.of(field, channel) for field in fields], profile)


def _dark_level(planes: Sequence[_Plane], profile: Image) -> float | None:
    height, width = planes[0].blocks.shape
    lit = cv2.resize(profile, (width, height), interpolation=cv2.INTER_AREA)
    edges = np.quantile(lit, np.linspace(0, 1, _BANDS + 1))
    band = np.clip(np.searchsorted(edges, lit, side="right") - 1, 0, _BANDS - 1)
    levels, lights, of = [], [], []
    for number, plane in enumerate(planes):
        for one in range(_BANDS):
            darkest = (band == one) & plane.whole
            if darkest.sum() >= _FEWEST_BLOCKS:
                low = darkest & (plane.blocks <= np.percentile(plane.blocks[darkest], 10))
                levels.append(float(plane.blocks[low].mean()))
                lights.append(float(lit[low].mean()))
                of.append(number)
    fields = np.unique(of)
    if len(fields) < MIN_FIELDS or len(levels) < 3 * len(fields):
        return None
    y, design = np.array(levels), np.zeros((len(levels), 1 + len(fields)))
    design[:, 0] = 1
    design[np.arange(len(y)), 1 + np.searchsorted(fields, of)] = lights
    fit, spread, weights = _robust_fit(design, y)
    covariance = np.linalg.pinv((design * weights[:, None]).T @ design)[1:, 1:]
    if fit[1:].mean() <= 3 * spread * np.sqrt(covariance.mean()):
        return None
    return float(f"{min(max(fit[0], 0.0), y.min()):.6g}")


def _robust_fit(
    design: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """Coefficients, scale of the residuals and weights, by Huber's weights."""
    weights = np.ones_like(y)
    for _ in range(20):
        root = np.sqrt(weights)
        fit = np.asarray(
            np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0], np.float64
        )
        residual = y - design @ fit
        spread = 1.4826 * float(np.median(np.abs(residual))) + 1e-9
        weights = np.minimum(1.0, 1.345 * spread / np.maximum(np.abs(residual), 1e-12))
    return fit, spread, weights


def _fit_profile(
    planes: Sequence[_Plane], backgrounds: Sequence[Image]
) -> tuple[tuple[float, ...], str]:
    """A channel's coefficients, or a flat profile and why."""
    grid = _basis((_BLOCKS, _BLOCKS))
    rows, values = [], []
    for plane, background in zip(planes, backgrounds, strict=True):
        light = plane.pixels - np.asarray(background, np.float32)
        lit = (light > 6 * plane.noise).astype(np.float32)
        if plane.inside is not None:
            lit[~plane.inside] = 0
        share = cv2.resize(lit, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA).ravel()
        light = cv2.resize(light * lit, (_BLOCKS, _BLOCKS), interpolation=cv2.INTER_AREA).ravel()
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
    fit, spread, _ = _robust_fit(X, y)
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


def _basis(shape: tuple[int, int]) -> NDArray[np.float64]:
    """(n, 6) terms of the polynomial at the pixels of a field, or at the centres of its blocks.

    The field's outermost pixels lie at -1 and 1, so the centres of few blocks lie inside.
    """
    y, x = np.meshgrid(*(np.arange(1 - n, n, 2) / n for n in shape), indexing="ij")
    return np.stack([np.ones_like(y), y, x, y * y, y * x, x * x], axis=-1).reshape(-1, 6)
