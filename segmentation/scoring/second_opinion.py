"""Agreement of an engine's nuclei with those that plain thresholds find.

A reviewer's look is worth most where the two differ. The second opinion is the classical engine's
nuclei (threshold and watershed), which share nothing with a network but the pixels. They are
not truth: an error that both make is not seen.
"""

from __future__ import annotations

from segmentation.engines.classical import segment_nuclei, smoothed
from segmentation.field import Field, Labels
from segmentation.filters.background import noise_level
from segmentation.filters.margins import keep_valid
from segmentation.scoring.accuracy import object_counts
from segmentation.sizes import Sizes

IOU = 0.5
# Lowest threshold, in standard deviations of the pixel noise: an empty field must stay empty.
_NOISE = 6.0


def nuclei_agreement(field: Field, nuclei: Labels, sizes: Sizes | None = None) -> float | None:
    """F1 of objects at IoU 0.5 between nuclei and those of the classical engine.

    A number that no pixel carries is not an object, so nuclei need not be numbered 1…n. None
    without a DNA channel, or where neither has a nucleus.
    """
    if not field.has("dna"):
        return None
    floor = max(_NOISE * noise_level(field.channel("dna"), field.valid_area.inside), 1e-6)
    classical = keep_valid(
        segment_nuclei(smoothed(field, "dna"), field.pixel_size_um, floor, sizes or Sizes()), field
    )
    if not nuclei.any() and not classical.any():
        return None
    return object_counts(nuclei, classical, (IOU,))[IOU].f1
