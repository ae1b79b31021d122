"""Which profile of the light corrects a channel, the instrument's or the estimated one.

And what a correction leaves over, told by fields that it was not estimated from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from segmentation.field import Field
from segmentation.filters.background import (
    DEEPEST,
    MIN_FIELDS,
    Illumination,
    dark_level,
    estimate_illumination,
)
from segmentation.filters.light_profile import LightProfile


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


def with_given(
    estimated: Illumination, given: Sequence[LightProfile | None], fields: Sequence[Field]
) -> tuple[Illumination, tuple[str, ...]]:
    """The illumination with the instrument's profiles in place of the estimated ones.

    A profile of the instrument is not used where it is not a profile of light, or where more is
    left over after it than there was: an export may be corrected already.

    Parameters
    ----------
    estimated
        What `estimate_illumination` gives for the fields.
    given
        The instrument's profile per channel, None where there is none.
    fields
        Fields of the plate, as the camera saw them.

    Returns
    -------
    tuple
        The illumination, and per channel why its profile is not used; empty where it is.
    """
    shape = fields[0].shape
    reasons = [_unusable(profile, shape) for profile in given]
    usable = [p if not why else None for p, why in zip(given, reasons, strict=True)]
    corrected = _given(estimated, usable, fields)
    left = estimate_illumination([corrected.correct(field) for field in fields])
    for channel, profile in enumerate(usable):
        was, after = depth(estimated, channel, shape), depth(left, channel, shape)
        if profile is not None and after > was:
            usable[channel] = None
            reasons[channel] = f"the light varies {after:.2f}-fold after it, {was:.2f}-fold before"
    return _given(estimated, usable, fields), tuple(reasons)


def _given(
    estimated: Illumination, given: Sequence[LightProfile | None], fields: Sequence[Field]
) -> Illumination:
    dark = list(estimated.dark) or [None] * len(given)
    for channel, profile in enumerate(given):
        if profile is not None:
            dark[channel] = dark_level(fields, channel, profile.relative(fields[0].shape))
    return replace(
        estimated,
        applied=tuple(
            applied or profile is not None
            for applied, profile in zip(estimated.applied, given, strict=True)
        ),
        reasons=tuple(
            "" if profile is not None else reason
            for reason, profile in zip(estimated.reasons, given, strict=True)
        ),
        given=tuple(given) if any(p is not None for p in given) else (),
        dark=tuple(dark),
    )


def _unusable(profile: LightProfile | None, shape: tuple[int, int]) -> str:
    if profile is None:
        return ""
    light = profile.evaluate(shape)
    if not (np.isfinite(light).all() and light.min() > 0):
        return "it is not above 0 everywhere"
    ratio = float(light.max() / light.min())
    return f"it varies {ratio:.1f}-fold, as no optics do" if ratio > DEEPEST else ""
