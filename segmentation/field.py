"""What goes into an engine and what comes out: a Field of pixels, a Segmentation of labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

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
        One of ROLES a channel, or None for a channel that takes no part. Each role at most once.
    pixel_size_um
        Edge of a pixel in µm, the same in y and x.
    """

    pixels: NDArray[np.generic]
    roles: tuple[str | None, ...]
    pixel_size_um: float

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3:
            raise ValueError(f"a field is (C, Y, X); got shape {self.pixels.shape}")
        if self.pixels.shape[0] != len(self.roles):
            raise ValueError(f"{self.pixels.shape[0]} channels but {len(self.roles)} roles; give one role (or None) a channel")
        named = [r for r in self.roles if r is not None]
        for role in named:
            if role not in ROLES:
                raise ValueError(f"unknown role {role!r}; known: {', '.join(ROLES)}")
        if len(set(named)) != len(named):
            raise ValueError(f"a role stands for two channels: {', '.join(named)}")
        if not (np.isfinite(self.pixel_size_um) and self.pixel_size_um > 0):
            raise ValueError(f"pixel size must be a positive number of µm, got {self.pixel_size_um}")
        if np.issubdtype(self.pixels.dtype, np.floating) and not np.isfinite(self.pixels).all():
            raise ValueError("pixels hold NaN or infinity; the image is damaged or was computed wrongly")

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) in pixels."""
        return int(self.pixels.shape[1]), int(self.pixels.shape[2])

    @property
    def area_um2(self) -> float:
        """Imaged area in µm²."""
        return self.shape[0] * self.shape[1] * self.pixel_size_um**2

    def has(self, role: str) -> bool:
        """Whether a channel carries the role."""
        return role in self.roles

    def channel(self, role: str) -> Image:
        """(Y, X) float32 pixels of a role. Raises KeyError naming the roles there are."""
        if role not in self.roles:
            present = ", ".join(r for r in self.roles if r) or "none"
            raise KeyError(f"the field has no {role!r} channel (roles present: {present})")
        return np.ascontiguousarray(self.pixels[self.roles.index(role)], dtype=np.float32)


class Pixels:
    """The foreground of a label image: most measures need nothing else, and a field is mostly background.

    `at`: flat indices of labelled pixels, `of`: their labels; `count` (n + 1,): pixels of each label, background not counted.
    """

    def __init__(self, labels: Labels, n: int | None = None) -> None:
        self.shape = labels.shape
        flat = labels.ravel()
        self.at: NDArray[np.int64] = np.flatnonzero(flat)
        self.of = flat[self.at]
        self.n = int(self.of.max(initial=0)) if n is None else n
        self.count = np.bincount(self.of, minlength=self.n + 1)

    def neighbours(self, labels: Labels) -> Iterator[tuple[bool, Labels]]:
        """For each of eight directions: whether it is diagonal, and the label beside each pixel of `at`, 0 outside the image."""
        padded = np.pad(labels, 1)
        width = padded.shape[1]
        flat = padded.ravel()
        y, x = np.divmod(self.at, self.shape[1])
        at = (y + 1) * width + x + 1
        for dy, dx in ((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx):
            yield dy != 0 and dx != 0, flat[at + dy * width + dx]

    def sum(self, image: NDArray[np.generic]) -> NDArray[np.float64]:
        """Sum of an image over each label 1…n."""
        return np.asarray(np.bincount(self.of, image.ravel()[self.at], self.n + 1)[1:], np.float64)

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
        Compartment ► (Y, X) int32. "nuclei": 1…n. "somas": the soma of nucleus i carries label i, so neurons are the
        nuclei whose label stands in "somas". "neurites": a mask of 0 and 1, outside somas. "puncta" (of the
        aggregate channel) and "granules" (of the granule channel): 1…m.
        A compartment that could not be segmented is absent, and `warnings` says why.
    engine
        Name that `segmentation.load` takes.
    confidence
        Compartment ► (n,) mean probability that the engine gave to the pixels of object 1…n; absent from engines without probabilities.
    parameters
        All numbers that decided, thresholds included.
    """

    labels: Mapping[str, Labels]
    engine: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    confidence: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
