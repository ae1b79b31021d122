"""How well labels agree with traced ones, field by field, and over fields with an interval.

Fields of a well are alike, so the interval of a figure is that of drawing wells anew (bootstrap).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from imaging_service.models.fields import TracedField
from phenotypes.cells.neurites import neurite_length_um
from phenotypes.cells.skeleton import skeletonize
from segmentation.field import Labels
from segmentation.scoring.accuracy import Counts, LineCounts, line_counts, object_counts

# A traced pixel is found, and a predicted one right, within this many pixels of the camera.
TOLERANCE_PX = 3.0
# Fewer wells than this say nothing on how figures differ between wells.
LEAST_WELLS = 3
_DRAWS = 2000


@dataclass(frozen=True)
class FieldScore:
    """Agreement on one field; None where a compartment was not traced.

    Lengths are in µm by the estimator that measures plates; counts are of nuclei, or of somas
    where no nuclei were traced, as (segmented, traced).
    """

    well: str
    lines: LineCounts | None
    length_um: tuple[float, float] | None
    nuclei: Counts | None
    somas: Counts | None

    @property
    def count(self) -> tuple[float, float] | None:
        """Objects that cells are counted by: (segmented, traced)."""
        objects = self.nuclei or self.somas
        if objects is None:
            return None
        return objects.tp + objects.fp, objects.tp + objects.fn


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval, None where fewer than three wells were traced."""

    value: float
    low: float | None
    high: float | None
    fields: int
    wells: int


def score(truth: TracedField, labels: Mapping[str, Labels]) -> FieldScore:
    """Compare an engine's labels of a field with the traced ones."""
    px = truth.field.pixel_size_um
    lines = length = None
    if "neurites" in truth.labels:
        traced, segmented = (
            part["neurites"] > 0 if "neurites" in part else np.zeros(truth.field.shape, bool)
            for part in (truth.labels, labels)
        )
        lines = line_counts(skeletonize(traced), skeletonize(segmented), TOLERANCE_PX)
        length = (neurite_length_um(segmented, px), neurite_length_um(traced, px))
    objects = {
        name: object_counts(truth.labels[name], labels[name], (0.5,))[0.5]
        if name in labels
        else Counts(0, 0, len(np.unique(truth.labels[name])) - 1)
        for name in ("nuclei", "somas")
        if name in truth.labels
    }
    well = f"{truth.record.plate_digest} {truth.record.well}"
    return FieldScore(well, lines, length, objects.get("nuclei"), objects.get("somas"))


def neurite_f1(scores: Sequence[FieldScore]) -> float | None:
    """F1 of skeleton pixels at 3 px, pooled over fields; None where no neurites were traced."""
    lines = [s.lines for s in scores if s.lines is not None]
    return reduce(add, lines).f1 if lines else None


def length_error(scores: Sequence[FieldScore]) -> float | None:
    """Median over fields of the length's error against the traced one, without its sign."""
    return _median_error([s.length_um for s in scores])


def length_bias(scores: Sequence[FieldScore]) -> float | None:
    """Length of all fields against the traced one, minus 1: above 0 is too long."""
    pairs = [s.length_um for s in scores if s.length_um is not None]
    traced = sum(t for _, t in pairs)
    return sum(n for n, _ in pairs) / traced - 1 if traced else None


def count_error(scores: Sequence[FieldScore]) -> float | None:
    """Median over fields of the error of counts, without its sign."""
    return _median_error([s.count for s in scores])


def nuclei_ap(scores: Sequence[FieldScore]) -> float | None:
    """Average precision of nuclei at IoU 0.5, pooled."""
    counts = [s.nuclei for s in scores if s.nuclei is not None]
    return reduce(add, counts).average_precision if counts else None


def soma_ap(scores: Sequence[FieldScore]) -> float | None:
    """Average precision of somas at IoU 0.5, pooled."""
    counts = [s.somas for s in scores if s.somas is not None]
    return reduce(add, counts).average_precision if counts else None


FIGURES: dict[str, Callable[[Sequence[FieldScore]], float | None]] = {
    "neurite_f1": neurite_f1,
    "length_error": length_error,
    "length_bias": length_bias,
    "count_error": count_error,
    "nuclei_ap": nuclei_ap,
    "soma_ap": soma_ap,
}
# Figures that are better when they are lower.
ERRORS = ("length_error", "count_error")


def figures(scores: Sequence[FieldScore], seed: int = 0) -> dict[str, Figure]:
    """Every figure that the traced compartments allow, with its interval over wells."""
    by_well: dict[str, list[FieldScore]] = {}
    for one in scores:
        by_well.setdefault(one.well, []).append(one)
    wells = list(by_well.values())
    rng = np.random.default_rng(seed)
    draws = rng.integers(max(1, len(wells)), size=(_DRAWS, len(wells)))
    made = {}
    for name, figure in FIGURES.items():
        value = figure(scores)
        if value is None:
            continue
        low = high = None
        if len(wells) >= LEAST_WELLS:
            drawn = (figure([s for w in draw for s in wells[w]]) for draw in draws)
            low, high = np.percentile([v for v in drawn if v is not None], [2.5, 97.5]).tolist()
        made[name] = Figure(value, low, high, len(scores), len(wells))
    return made


def _median_error(pairs: Sequence[tuple[float, float] | None]) -> float | None:
    """Of (segmented, traced); a field without a traced object has no relative error."""
    errors = [abs(n / t - 1) for n, t in (p for p in pairs if p is not None) if t > 0]
    return float(np.median(errors)) if errors else None
