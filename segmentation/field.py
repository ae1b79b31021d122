"""What goes into an engine and what comes out: a Field of pixels, a Segmentation of labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from segmentation.valid_area import ValidArea, recognise

ROLES = ("dna", "neurite", "identity", "aggregate", "granule", "envelope", "death")
COMPARTMENTS = ("nuclei", "somas", "neurites", "puncta", "granules")

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Field:
    """One imaged site of a well.

    Parameters
    ----------
    pixels
        (C, Y, X), any real dtype, finite.
    roles
        One of ROLES per channel, or None for a channel that takes no part. Each role at most once.
    pixel_size_um
        Edge of a pixel in µm, the same in y and x.
    known_area
        Which part of it is culture; recognised from the pixels where it is not given.

    Raises
    ------
    TypeError
        The pixels are not an array.
    ValueError
        Another shape than (C, Y, X), roles that are unknown, repeated or not one per channel, a
        pixel size that is not positive, or pixels that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from segmentation import Field
    >>> pixels = np.zeros((3, 64, 80), np.uint16)
    >>> field = Field(pixels, ("dna", None, "neurite"), pixel_size_um=0.65)
    >>> field
    Field(dna, –, neurite; 64 × 80 px of 0.65 µm, uint16)
    >>> field.channel("neurite").shape
    (64, 80)
    >>> round(field.area_um2, 1)
    2163.2
    """

    pixels: NDArray[np.generic]
    roles: tuple[str | None, ...]
    pixel_size_um: float
    known_area: ValidArea | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.pixels, np.ndarray):
            raise TypeError(
                f"pixels must be a numpy array (C, Y, X), got {type(self.pixels).__name__}"
            )
        if self.pixels.ndim != 3:
            raise ValueError(f"a field is (C, Y, X); got shape {self.pixels.shape}")
        if self.pixels.shape[0] != len(self.roles):
            raise ValueError(
                f"{self.pixels.shape[0]} channels but {len(self.roles)} roles; give one role (or"
                " None) per channel"
            )
        named = [r for r in self.roles if r is not None]
        for role in named:
            if role not in ROLES:
                raise ValueError(f"unknown role {role!r}; known: {', '.join(ROLES)}")
        if len(set(named)) != len(named):
            raise ValueError(f"each role belongs to one channel, got {', '.join(named)}")
        if not (np.isfinite(self.pixel_size_um) and self.pixel_size_um > 0):
            raise ValueError(
                f"pixel size must be a positive number of µm, got {self.pixel_size_um}"
            )
        inside = None if self.known_area is None else self.known_area.inside
        if inside is not None and inside.shape != self.shape:
            raise ValueError(f"the valid area is {inside.shape} pixels, the field {self.shape}")
        if np.issubdtype(self.pixels.dtype, np.floating) and not np.isfinite(self.pixels).all():
            raise ValueError(
                "pixels contain NaN or infinity; the image is damaged or was computed wrongly"
            )

    def __repr__(self) -> str:
        channels = ", ".join(role or "–" for role in self.roles)
        height, width = self.shape
        return (
            f"Field({channels}; {height} × {width} px of {self.pixel_size_um:.4g} µm,"
            f" {self.pixels.dtype})"
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) in pixels."""
        return int(self.pixels.shape[1]), int(self.pixels.shape[2])

    @property
    def area_um2(self) -> float:
        """Imaged area in µm²."""
        return self.shape[0] * self.shape[1] * self.pixel_size_um**2

    @cached_property
    def valid_area(self) -> ValidArea:
        """What is culture, without what lies beyond its wall or under a clump."""
        if self.known_area is not None:
            return self.known_area
        return recognise(self.pixels, self.roles, self.pixel_size_um)

    @property
    def valid_area_um2(self) -> float:
        """Area in µm² that densities are relative to."""
        return self.area_um2 * self.valid_area.share

    def has(self, role: str) -> bool:
        """Whether a channel carries the role."""
        return role in self.roles

    def channel(self, role: str) -> Image:
        """(Y, X) float32 pixels of a role. Raises KeyError naming the roles there are."""
        if role not in self.roles:
            present = ", ".join(r for r in self.roles if r) or "none"
            raise KeyError(f"the field has no {role!r} channel (roles present: {present})")
        return np.ascontiguousarray(self.pixels[self.roles.index(role)], dtype=np.float32)


def checked_field(value: object) -> Field:
    """The value, if it is a Field. Raises TypeError that says what a Field is."""
    if isinstance(value, Field):
        return value
    shape = getattr(value, "shape", None)
    kind = f"a {type(value).__name__}" if shape is None else f"an array of shape {tuple(shape)}"
    raise TypeError(
        f"expected a segmentation.Field, got {kind}; a Field holds the pixels (C, Y, X), one role"
        " per channel and the pixel size: Field(pixels, ('dna', 'neurite'), pixel_size_um=0.65)"
    )


class Pixels:
    """Foreground of a label image.

    Most measures need nothing else, and a field is mostly background. `at`: flat indices of
    labelled pixels, `of`: their labels; `count` (n + 1,): pixels of each label, background not
    counted.
    """

    def __init__(self, labels: Labels, n: int | None = None) -> None:
        self.shape = labels.shape
        flat = labels.ravel()
        self.index: NDArray[np.int64] = np.flatnonzero(flat)
        self.of = flat[self.index]
        self.n = int(self.of.max(initial=0)) if n is None else n
        self.count = np.bincount(self.of, minlength=self.n + 1)

    def neighbours(self, labels: Labels) -> Iterator[tuple[bool, Labels]]:
        """Labels beside each pixel of `at`, for each of eight directions.

        Yields whether the direction is diagonal, and the labels, 0 outside the image.
        """
        padded = np.pad(labels, 1)
        width = padded.shape[1]
        flat = padded.ravel()
        y, x = np.divmod(self.index, self.shape[1])
        index = (y + 1) * width + x + 1
        for dy, dx in ((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx):
            yield dy != 0 and dx != 0, flat[index + dy * width + dx]

    def sum(self, image: NDArray[np.generic]) -> NDArray[np.float64]:
        """Sum of an image over each label 1…n."""
        return np.asarray(
            np.bincount(self.of, image.ravel()[self.index], self.n + 1)[1:], np.float64
        )

    def mean(self, image: NDArray[np.generic]) -> NDArray[np.float64]:
        """Mean of an image over each label 1…n; NaN for labels without a pixel."""
        count = self.count[1:]
        return np.where(count > 0, self.sum(image) / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class Segmentation:
    """Labels of one field.

    Attributes
    ----------
    labels
        Compartment ► (Y, X) int32. "nuclei": 1…n. "somas": the soma of nucleus i carries label i,
        so neurons are the nuclei with a label in "somas". "neurites": a mask of 0 and 1,
        outside somas. "puncta" (of the aggregate channel) and "granules" (of the granule channel):
        1…m. A compartment that could not be segmented is absent, and `warnings` says why.
    engine
        Name that `segmentation.load` takes.
    warnings
        What was left out or guessed, and why.
    confidence
        Compartment ► (n,) mean probability that the engine gave to the pixels of object 1…n; absent
        from engines without probabilities.
    parameters
        All numbers that decided, thresholds included.
    figures
        What the engine can say of the field beside its labels, by name.

    Examples
    --------
    >>> import numpy as np
    >>> from segmentation import Segmentation
    >>> nuclei = np.zeros((64, 80), np.int32)
    >>> nuclei[10:20, 10:20], nuclei[40:50, 60:70] = 1, 2
    >>> Segmentation({"nuclei": nuclei}, engine="by hand")
    Segmentation('by hand', 64 × 80 px, nuclei: 2, warnings: 0)
    """

    labels: Mapping[str, Labels]
    engine: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    confidence: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        counts = [
            # "neurites" is a mask: its share of the field says more than its one label.
            (
                f"{name}: {labels.astype(bool).mean():.1%}"
                if name == "neurites"
                else f"{name}: {labels.max(initial=0)}"
            )
            for name, labels in self.labels.items()
        ]
        size = [f"{y} × {x} px" for y, x in [labels.shape for labels in self.labels.values()][:1]]
        parts = [repr(self.engine), *size, *counts, f"warnings: {len(self.warnings)}"]
        return f"Segmentation({', '.join(parts)})"
