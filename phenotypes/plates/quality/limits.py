"""Limits of a plate's quality, apart from what judges by them: every protocol is read with them."""

from __future__ import annotations

from typing import Annotated

from pydantic.dataclasses import dataclass

from segmentation.settings import STRICT, Positive, Share, meaning


@dataclass(frozen=True, kw_only=True, config=STRICT)
class QualityLimits:
    """When a field or a well is left out, and when a field or a plate carries a warning."""

    focus_z: Annotated[
        Positive,
        meaning(
            "Robust z of the DNA focus slope below vehicle fields at which a field is out of focus."
        ),
    ] = 5.0
    valid_fields: Annotated[Share, meaning("Share of valid fields that a well needs.")] = 0.5
    vehicle_z: Annotated[
        Positive, meaning("Robust z of live density at which a vehicle well is left out.")
    ] = 3.5
    saturated: Annotated[
        Positive,
        meaning(
            "Share of saturated pixels inside nuclei or somas above which a field has no levels,"
            " ratios and spots of a channel."
        ),
    ] = 0.01
    uneven: Annotated[
        Positive,
        meaning(
            "Unevenness of the light, after correction, above which a field carries a warning."
        ),
    ] = 0.3
    debris: Annotated[
        Positive,
        meaning("Area of debris over area of nuclei above which a field carries a warning."),
    ] = 1.0
    confluence: Annotated[
        Positive, meaning("Share of the field under cells above which it carries a warning.")
    ] = 0.6
    trend_p: Annotated[
        Share,
        meaning(
            "Chance of any false warning of an edge effect, a trend, a difference or a drift on a"
            " plate where all vehicle wells read the same."
        ),
    ] = 0.05
    autofluorescent_z: Annotated[
        Positive,
        meaning(
            "Robust z of the background at the highest dose above vehicle wells at which a compound"
            " is reported as autofluorescent."
        ),
    ] = 5.0
