"""What corrects the light of a plate, channel by channel, and what it leaves over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from segmentation import Field
from segmentation.filters.background import (
    Illumination,
    estimate_illumination,
    no_illumination,
)
from segmentation.filters.flat_field import depth, residual_depths, with_given
from segmentation.filters.light_profile import LightProfile

LightSource = Literal["instrument", "estimated", "none"]


@dataclass(frozen=True)
class Correction:
    """The illumination, and per channel its source, its depth and the depth that is left.

    A depth is the brightest over the darkest place of a profile. What is left of an estimated
    profile is told by halves of the fields, so it has the errors of both.
    """

    illumination: Illumination
    sources: tuple[LightSource, ...]
    depths: tuple[float, ...]
    left: tuple[float | None, ...]
    notes: tuple[str, ...] = ()


def correction(
    fields: Sequence[Field],
    channels: Sequence[str],
    given: Mapping[str, LightProfile],
    wanted: Literal["auto", "estimated", "none"],
) -> Correction:
    """The correction of a plate's light from fields all over it.

    Parameters
    ----------
    fields
        As the camera saw them.
    channels
        Names of their channels, in order.
    given
        Channel ► the instrument's profile.
    wanted
        Setting `acquisition.flat_field` of the protocol.
    """
    if wanted == "none":
        reason = "acquisition.flat_field of the protocol is none"
        return _uncorrected(channels, reason)
    if not fields:
        return _uncorrected(channels, "no field all over the plate could be used")
    illumination, reasons = estimate_illumination(fields), ("",) * len(channels)
    left = list(residual_depths(fields))
    if wanted == "auto" and any(channel in given for channel in channels):
        profiles = [given.get(channel) for channel in channels]
        illumination, reasons = with_given(illumination, profiles, fields)
        if illumination.given:
            rest = estimate_illumination([illumination.correct(field) for field in fields])
            for c, profile in enumerate(illumination.given):
                if profile is not None:
                    left[c] = depth(rest, c, fields[0].shape)
    return Correction(
        illumination,
        tuple(_source(illumination, c) for c in range(len(channels))),
        tuple(depth(illumination, c, fields[0].shape) for c in range(len(channels))),
        tuple(left),
        tuple(
            f"the instrument's flat-field profile of channel {channel!r} is not used: {why}"
            for channel, why in zip(channels, reasons, strict=True)
            if why
        ),
    )


def _uncorrected(channels: Sequence[str], reason: str) -> Correction:
    count = len(channels)
    sources: list[LightSource] = ["none"] * count
    flat = no_illumination(count, reason)
    return Correction(flat, tuple(sources), (1.0,) * count, (None,) * count)


def _source(illumination: Illumination, channel: int) -> LightSource:
    if illumination.given and illumination.given[channel] is not None:
        return "instrument"
    return "estimated" if illumination.applied[channel] else "none"
