"""What an estimated illumination leaves over, told by fields that it was not estimated from."""

from __future__ import annotations

from collections.abc import Sequence

from segmentation.field import Field
from segmentation.filters.background import MIN_FIELDS, Illumination, estimate_illumination


def depth(illumination: Illumination, channel: int, shape: tuple[int, int]) -> float:
    """Brightest over darkest place of a channel's profile; 1 for a flat one."""
    profile = illumination.profile(channel, shape)
    return float(profile.max() / profile.min())


def residual_depths(fields: Sequence[Field]) -> tuple[float | None, ...]:
    """Depth, per channel, of what is left after a correction.

    Every second field gives a profile, the others are corrected by it, and a profile is estimated
    from them again: 1 where none is seen beyond its uncertainty. The errors of both estimates are
    in it, so that a correction by all fields leaves less. None for fewer than twice MIN_FIELDS
    fields, and where the first half shows no profile to correct by.

    Examples
    --------
    >>> import numpy as np
    >>> from segmentation import Field
    >>> from segmentation.filters.flat_field import residual_depths
    >>> residual_depths([Field(np.zeros((2, 64, 64), np.uint16), ("dna", None), 0.65)] * 3)
    (None, None)
    """
    if not fields:
        raise ValueError("no field to estimate the illumination from")
    first, second = fields[::2], fields[1::2]
    if min(len(first), len(second)) < MIN_FIELDS:
        return (None,) * len(fields[0].roles)
    shape = fields[0].shape
    estimated = estimate_illumination(first)
    again = estimate_illumination([estimated.correct(field) for field in second])
    return tuple(
        depth(again, channel, shape) if applied else None
        for channel, applied in enumerate(estimated.applied)
    )
