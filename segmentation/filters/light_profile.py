"""A profile of the light that is given, not estimated: a polynomial over the field."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Coefficients = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class LightProfile:
    """Relative light of one channel, as an instrument states it; without coefficients it is flat.

    Row n of `coefficients` holds those of xⁿ, xⁿ⁻¹y … yⁿ, in pixels that are shifted by `origin`
    and scaled by `scale` (x, y).

    Examples
    --------
    >>> from segmentation.filters.light_profile import LightProfile
    >>> LightProfile(((1.0,), (0.5, 0.0))).evaluate((1, 3)).tolist()
    [[1.0, 1.5, 2.0]]
    """

    coefficients: Coefficients = ()
    origin: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)

    def evaluate(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """(Y, X) relative light, as the instrument scaled it."""
        light = np.zeros(shape)
        y = ((np.arange(shape[0]) - self.origin[1]) * self.scale[1])[:, None]
        x = ((np.arange(shape[1]) - self.origin[0]) * self.scale[0])[None, :]
        for degree, row in enumerate(self.coefficients):
            for k, coefficient in enumerate(row):
                light += coefficient * x ** (degree - k) * y**k
        return np.asarray(light if self.coefficients else light + 1, np.float32)

    def relative(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """(Y, X) relative light with mean 1; read-only, since it is computed once per plate."""
        return _relative(self, shape)


@lru_cache(maxsize=8)
def _relative(profile: LightProfile, shape: tuple[int, int]) -> NDArray[np.float32]:
    light = profile.evaluate(shape)
    light /= light.mean()
    light.flags.writeable = False
    return light
