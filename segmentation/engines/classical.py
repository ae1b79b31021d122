"""The engine without weights: thresholds, watershed and ridges.

Strategy. Nuclei: threshold on the smoothed DNA channel, split by a watershed on the distance
transform, each then cut at half of its own brightness. Somas: the neurite channel opened by a disc
wider than any neurite keeps cell bodies only; each soma is grown from its nucleus, so it carries
the nucleus's label. Neurites: ridges outside somas. Puncta: spots inside somas.

Thresholds on somas, neurites and puncta are fixed for a plate by `calibrate` on its vehicle wells:
chosen per image they would move with the treatment. Nuclei are objects to be counted whatever their
stain, which in real plates differs two-fold between wells, so their threshold is the field's own;
the plate gives its floor, without which an emptied well would find "nuclei" in its noise. Without
calibration the field's own are used throughout and a warning says that wells are not comparable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import cv2
import numpy as np

from segmentation.engines.registry import checked_thresholds
from segmentation.field import Field, Image, Labels, Segmentation, checked_field
from segmentation.filters.background import background_level, noise_level
from segmentation.filters.contrast import (
    LEAST_EXTENT_UM,
    LEAST_OWN_LIGHT,
    Stretches,
    drawn_neurites,
    standing_out,
    stretches,
    typical_contrast,
    typical_extent,
    typical_own_light,
)
from segmentation.filters.exposure import with_cells
from segmentation.filters.labels import expand, flood, remove_small
from segmentation.filters.margins import clipped, keep_valid, levelled
from segmentation.filters.noise import GREY_LEVEL, CameraNoise, camera_noise
from segmentation.filters.puncta import COARSEST_PIXEL_UM, segment_puncta, spot_scale
from segmentation.filters.ridges import (
    remove_short,
    response_noise,
    ridge_response,
    segment_neurites,
)
from segmentation.sizes import Sizes

UNCALIBRATED = "thresholds were taken from this field alone: not comparable between wells"


@dataclass(frozen=True)
class Thresholds:
    """Thresholds in grey levels above background; `neurite_extent` in µm, a share of light.

    Of the channels with spots the camera's noise (see `CameraNoise`), from which the threshold
    follows. None where the role is absent or was not calibrated.
    """

    nuclei_floor: float | None = None
    soma: float | None = None
    neurite_low: float | None = None
    neurite_high: float | None = None
    aggregate_dark: float | None = None
    aggregate_shot: float | None = None
    aggregate_background: float | None = None
    granule_dark: float | None = None
    granule_shot: float | None = None
    granule_background: float | None = None
    neurite_contrast: float | None = None
    neurite_extent: float | None = None
    neurite_own_light: float | None = None

    @property
    def short_lines(self) -> bool:
        """Whether the plate's lines are as short as cells, and stand on cells."""
        extent, own_light = self.neurite_extent, self.neurite_own_light
        if extent is None or own_light is None:
            return False
        return extent < LEAST_EXTENT_UM and own_light < LEAST_OWN_LIGHT


# Roles whose channel is searched for spots, with the compartment that they give.
SPOTS = (("aggregate", "puncta"), ("granule", "granules"))
# A threshold never falls under this many standard deviations of the pixel noise (smoothed images
# have less noise still).
_NOISE_FLOOR = 2.0
# Ridges: low and high threshold as multiples of the response's noise, and as shares of a typical
# neurite's response.
_RIDGE_NOISE = (6.0, 12.0)
_RIDGE_SHARE = (0.15, 0.35)
# Somas are told from the opened neurite channel at this fraction of a typical soma's brightness
# (full width, half maximum).
_SOMA_FRACTION = 0.5
# What stands on a cell is its edge, its fold or a fibre in it: a neurite's own light is at least
# this share of all the light there.
_OWN_LIGHT = 0.25
# The nuclei's threshold in a field never falls under this share of a typical vehicle field's.
_NUCLEI_FLOOR = 0.3


def create(model: str, *, device: str = "auto", sizes: Sizes | None = None) -> ClassicalSegmenter:
    """Registry entry. Raises ValueError for a model name and RuntimeError for device "cuda"."""
    if model:
        raise ValueError(
            f"the classical engine has no models; write 'classical', not 'classical:{model}'"
        )
    if device == "cuda":
        raise RuntimeError(
            "the classical engine runs on the CPU only; use --device cpu or auto, or a cellpose"
            " engine"
        )
    return ClassicalSegmenter(sizes=sizes or Sizes())


@dataclass(frozen=True)
class ClassicalSegmenter:
    """Engine "classical"."""

    thresholds: Thresholds = Thresholds()
    sizes: Sizes = field(default_factory=Sizes)
    name: str = "classical"

    def describe(self) -> dict[str, object]:
        """Thresholds and sizes."""
        return {
            "engine": self.name,
            "device": "cpu",
            "thresholds": asdict(self.thresholds),
            "sizes": asdict(self.sizes),
        }

    def calibrate(self, fields: Sequence[Field]) -> ClassicalSegmenter:
        """Thresholds from the pooled fields; see `calibrate_thresholds`."""
        thresholds = calibrate_thresholds(with_cells(fields), self.sizes)
        return self.with_thresholds(asdict(thresholds))

    def with_thresholds(self, thresholds: Mapping[str, float | None]) -> ClassicalSegmenter:
        """A copy with thresholds as `describe` gave them."""
        return replace(self, thresholds=Thresholds(**checked_thresholds(thresholds)))

    def segment(self, field: Field, *, seed: int = 0) -> Segmentation:
        """Label a field; deterministic, so `seed` changes nothing."""
        checked_field(field)
        thresholds, warnings = complete_thresholds(self.thresholds, field, self.sizes)
        labels: dict[str, Labels] = {}
        if field.has("dna") and thresholds.nuclei_floor is not None:
            labels["nuclei"] = keep_valid(
                segment_nuclei(
                    smoothed(field, "dna"), field.pixel_size_um, thresholds.nuclei_floor, self.sizes
                ),
                field,
            )
        else:
            warnings.append("nuclei: no dna channel")
        if field.has("neurite") and thresholds.soma is not None:
            if "nuclei" in labels:
                somas = segment_somas(field, labels["nuclei"], thresholds.soma, self.sizes)
                labels["somas"] = clipped(somas, field)
            else:
                bodies = segment_bodies(field, thresholds.soma, self.sizes)
                labels["somas"] = keep_valid(bodies, field)
        compartments, figures = neurites_and_puncta(field, labels, thresholds, self.sizes, warnings)
        labels |= compartments
        warnings += field.valid_area.notes()
        parameters = {"thresholds": asdict(thresholds), "sizes": asdict(self.sizes)}
        return Segmentation(labels, self.name, parameters, tuple(warnings), figures=figures)


def complete_thresholds(
    thresholds: Thresholds, field: Field, sizes: Sizes
) -> tuple[Thresholds, list[str]]:
    """Fill what was not calibrated from the field itself, with the warning that belongs to it."""
    if thresholds != Thresholds():
        return thresholds, []
    return calibrate_thresholds([field], sizes), [UNCALIBRATED]


def neurites_and_puncta(
    field: Field,
    labels: dict[str, Labels],
    thresholds: Thresholds,
    sizes: Sizes,
    warnings: list[str],
) -> tuple[dict[str, Labels], dict[str, float]]:
    """The compartments that the classical filters give to every engine without its own.

    The figures are those of `drawn_neurites`.
    """
    compartments: dict[str, Labels] = {}
    figures: dict[str, float] = {}
    somas, nuclei = labels.get("somas"), labels.get("nuclei")
    if thresholds.short_lines:
        warnings.append(
            "short_lines: the lines of the fields that thresholds are from typically reach over"
            f" {thresholds.neurite_extent:.0f} µm, under {LEAST_EXTENT_UM:.0f}, and stand on cells,"
            " as cells' edges and folds do, so no neurites are given; check which channel is the"
            " neurites', or use the engine motornet"
        )
    elif (
        field.has("neurite")
        and thresholds.neurite_low is not None
        and thresholds.neurite_high is not None
    ):
        image = smoothed(field, "neurite", 0.0)
        ridges = segment_neurites(
            image,
            field.pixel_size_um,
            low=thresholds.neurite_low,
            high=thresholds.neurite_high,
            somas=somas,
            exclude=None if nuclei is None else nuclei > 0,
            spread=_ridge_noise(field, image),
        )
        neurites, figures = drawn_neurites(
            ridges > 0,
            image,
            field.pixel_size_um,
            somas,
            typical=thresholds.neurite_contrast,
            floor=sizes.neurite_contrast,
            light=_OWN_LIGHT,
            nuclei=nuclei,
        )
        compartments["neurites"] = clipped(neurites, field)
    for role, compartment in SPOTS:
        compartments |= spots_in_somas(
            field, role, compartment, somas, nuclei, spot_noise_of(thresholds, role), warnings
        )
    return compartments, figures


def spots_in_somas(
    field: Field,
    role: str,
    compartment: str,
    somas: Labels | None,
    nuclei: Labels | None,
    noise: CameraNoise | None,
    warnings: list[str],
) -> dict[str, Labels]:
    """Small bright spots of a channel inside somas, or a warning why there are no labels."""
    if not field.has(role):
        return {}
    if somas is None:
        warnings.append(f"{compartment}: no neurite channel, so no somas to count them in")
        return {}
    if field.pixel_size_um > COARSEST_PIXEL_UM:
        warnings.append(
            f"{compartment}: pixel_size_too_coarse ({field.pixel_size_um:.3g} µm, at most"
            f" {COARSEST_PIXEL_UM} µm)"
        )
        return {}
    if noise is None:
        return {}
    if noise.dark == GREY_LEVEL:
        warnings.append(
            f"{compartment}: few_grey_levels, the noise of {role} is less than one, so spots of a"
            " few levels are not counted; save the images with all bits of the camera"
        )
    # A spot at the rim peaks on the soma's outermost pixels; the outline is no sharper than that.
    within = cv2.dilate((somas > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    image = levelled(field, role)
    background = background_level(image, field.valid_area.inside)
    spots = segment_puncta(
        image - np.float32(background),
        field.pixel_size_um,
        noise,
        within,
        noise.haze_of(background),
        nuclei,
    )
    return {compartment: spots}


def spot_noise(fields: Sequence[Field], role: str) -> CameraNoise | None:
    """The camera's noise in a channel of spots.

    None where the role is absent or the pixels are too coarse.
    """
    first = fields[0]
    if not first.has(role) or first.pixel_size_um > COARSEST_PIXEL_UM:
        return None
    return camera_noise(
        [f.channel(role) for f in fields],
        spot_scale(first.pixel_size_um),
        [f.valid_area.inside for f in fields],
    )


def spot_noise_of(thresholds: object, role: str) -> CameraNoise | None:
    """The noise of a role as an engine's thresholds keep it; None where not calibrated."""
    dark, shot, background = (
        getattr(thresholds, f"{role}_{part}") for part in ("dark", "shot", "background")
    )
    return None if dark is None or shot is None else CameraNoise(dark, shot, background)


def smoothed(field: Field, role: str, sigma_um: float = 0.5) -> Image:
    """A channel less its background, smoothed by a Gaussian of `sigma_um` (0 for none)."""
    # a new image: the channel is the field's own memory, and is measured next
    image = levelled(field, role)
    image = image - np.float32(background_level(image, field.valid_area.inside))
    if sigma_um > 0:
        image = cv2.GaussianBlur(image, (0, 0), max(0.7, sigma_um / field.pixel_size_um))
    return image


def calibrate_thresholds(fields: Sequence[Field], sizes: Sizes | None = None) -> Thresholds:
    """Fix all thresholds from fields of vehicle wells.

    The floor for nuclei at 0.3 of the median over fields of their own threshold. Somas at 0.5 of
    the median brightness of opened cell bodies at nuclei. Neurites with hysteresis at 0.15 and 0.35
    of a typical ridge's response, at least 6 and 12 times its noise. Of puncta and
    granules the camera's noise. No intensity threshold falls under twice
    the pixel noise.
    """
    sizes = sizes or Sizes()
    if not fields:
        raise ValueError("no field to calibrate on")
    first = fields[0]
    nuclei = soma = low = high = contrast = extent = own_light = None
    excluded: list[Labels | None] = [None] * len(fields)
    if first.has("dna"):
        typical = float(np.median([nuclei_threshold(smoothed(f, "dna")) for f in fields]))
        nuclei = max(_NUCLEI_FLOOR * typical, _NOISE_FLOOR * _typical_noise(fields, "dna"), 1e-6)
    somas: list[Labels | None] = [None] * len(fields)
    if first.has("neurite"):
        if nuclei is not None:
            nuclei_labels = [
                segment_nuclei(smoothed(f, "dna"), f.pixel_size_um, nuclei, sizes) for f in fields
            ]
            soma = _soma_threshold(fields, nuclei_labels, sizes)
            somas = [
                segment_somas(f, n, soma, sizes) for f, n in zip(fields, nuclei_labels, strict=True)
            ]
            excluded = list(nuclei_labels)
        else:
            typical = float(np.median([_body_brightness(_opened(f, None, sizes)) for f in fields]))
            soma = max(
                _SOMA_FRACTION * typical, _NOISE_FLOOR * _typical_noise(fields, "neurite"), 1e-6
            )
            somas = [segment_bodies(f, soma, sizes) for f in fields]
        responses = []
        for f, s in zip(fields, somas, strict=True):
            response = ridge_response(smoothed(f, "neurite", 0.0), f.pixel_size_um)
            responses.append(response[::2, ::2].ravel() if s is None else response[s == 0][::4])
        # Two thirds of a field are not neurite even in dense cultures, so its lower third is noise;
        # for white noise the response's 33rd percentile is 0.65 of its standard deviation.
        noise = float(np.median([np.percentile(r, 33) for r in responses])) / 0.65
        pooled = np.concatenate(responses)
        strong = pooled[pooled > 20 * noise]
        ridge = float(np.median(strong)) if strong.size >= 100 else 0.0
        low = max(_RIDGE_NOISE[0] * noise, _RIDGE_SHARE[0] * ridge)
        high = max(_RIDGE_NOISE[1] * noise, _RIDGE_SHARE[1] * ridge)
        pieces = [
            _stretches(f, low, high, s, n) for f, s, n in zip(fields, somas, excluded, strict=True)
        ]
        contrast = typical_contrast(pieces)
        px = first.pixel_size_um
        drawn = [
            remove_short(standing_out(p, contrast, sizes.neurite_contrast), px, s)
            for p, s in zip(pieces, somas, strict=True)
        ]
        extent = typical_extent(drawn, px)
        own_light = typical_own_light(pieces, sizes.neurite_contrast * (contrast or 0.0))
    spots: list[float | None] = []
    for role, _ in SPOTS:
        camera = spot_noise(fields, role)
        spots += (
            [None, None, None] if camera is None else [camera.dark, camera.shot, camera.background]
        )
    return Thresholds(
        *(
            None if v is None else float(f"{v:.6g}")
            for v in (nuclei, soma, low, high, *spots, contrast, extent, own_light)
        )
    )


def _stretches(
    field: Field, low: float, high: float, somas: Labels | None, nuclei: Labels | None
) -> Stretches:
    """The ridges of a field, without those that stand on a cell."""
    image = smoothed(field, "neurite", 0.0)
    exclude = None if nuclei is None else nuclei > 0
    ridges = segment_neurites(
        image,
        field.pixel_size_um,
        low=low,
        high=high,
        somas=somas,
        exclude=exclude,
        spread=_ridge_noise(field, image),
    )
    pieces = stretches(ridges > 0, image, field.pixel_size_um, nuclei)
    mask = standing_out(pieces, None, 0.0, _OWN_LIGHT)
    return stretches(mask, image, field.pixel_size_um)


def _ridge_noise(field: Field, light: Image) -> Image:
    """Noise of the ridge response in this field (Y, X): wells differ in haze, which adds noise."""
    image = levelled(field, "neurite")
    return response_noise(image, light, field.pixel_size_um, field.valid_area.inside)


def _typical_noise(fields: Sequence[Field], role: str) -> float:
    return float(np.median([noise_level(f.channel(role), f.valid_area.inside) for f in fields]))


def nuclei_threshold(image: Image) -> float:
    """A field's own threshold: Otsu's on square roots, which finds faint nuclei beside bright ones.

    The root also makes shot noise even (Anscombe), as Otsu's method assumes of its two classes.
    """
    from skimage.filters import threshold_otsu

    positive = np.sqrt(np.clip(image[::2, ::2], 0, np.percentile(image[::2, ::2], 99.5)))
    return float(threshold_otsu(positive)) ** 2 if positive.max() > positive.min() else 0.0


def segment_nuclei(
    image: Image, pixel_size_um: float, floor: float, sizes: Sizes, *, own_threshold: bool = True
) -> Labels:
    """Nuclei labels 1…n from the smoothed, background-subtracted DNA channel.

    The threshold is the field's own, at least `floor`; without `own_threshold` it is `floor`.
    """
    mask = (image > (max(nuclei_threshold(image), floor) if own_threshold else floor)).astype(
        np.uint8
    )
    radius = max(1, round(0.08 * sizes.nucleus_diameter_um / pixel_size_um))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel)
    mask = _fill_holes(mask)
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    # Smoothing removes the ripples of the outline that would split one nucleus in two.
    distance = cv2.GaussianBlur(
        distance, (0, 0), max(0.7, 0.08 * sizes.nucleus_diameter_um / pixel_size_um)
    )
    reach = max(1, round(0.3 * sizes.nucleus_diameter_um / pixel_size_um))
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    peaks = ((distance >= cv2.dilate(distance, window) - 1e-4) & (mask > 0)).astype(np.uint8)
    _, seeds = cv2.connectedComponents(peaks, connectivity=8)
    labels = flood(-distance, seeds, mask > 0)
    # Each nucleus ends at half of its own brightness: one threshold for all draws bright nuclei too
    # large.
    flat = labels.ravel()
    brightness = np.bincount(flat, image.ravel()) / np.maximum(np.bincount(flat), 1)
    labels[image < 0.5 * brightness[labels]] = 0
    return remove_small(labels, sizes.min_nucleus_area_um2 / pixel_size_um**2)


def _fill_holes(mask: np.ndarray) -> np.ndarray:
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(mask)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    return filled


def _opened(field: Field, nuclei: Labels | None, sizes: Sizes) -> Image:
    """Cell bodies: the neurite channel opened by a disc wider than a neurite.

    A nucleus is a dark hole in a tubulin soma, and the ring around it is no thicker than the disc:
    the hole is first filled with the mean of the 2 µm around it.
    """
    image = smoothed(field, "neurite")
    if nuclei is not None:
        count = int(nuclei.max()) + 1
        ring = _around(nuclei, field.pixel_size_um, 2.0).ravel()
        pixels = np.bincount(ring, minlength=count)
        level = np.bincount(ring, image.ravel(), minlength=count) / np.maximum(pixels, 1)
        level[0] = -np.inf
        image = np.maximum(image, level[nuclei]).astype(np.float32)
    radius = max(1, int(np.ceil(sizes.neurite_width_um / 2 / field.pixel_size_um)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.morphologyEx(image, cv2.MORPH_OPEN, kernel), np.float32)


def _body_brightness(opened: Image) -> float:
    """Median brightness of the cell bodies of a reporter channel.

    Otsu's method separates them from background and neurites.
    """
    from skimage.filters import threshold_otsu

    small = opened[::2, ::2]
    bright = small[small > threshold_otsu(small)] if small.max() > small.min() else small
    return float(np.median(bright)) if bright.size else 0.0


def _around(nuclei: Labels, pixel_size_um: float, reach_um: float) -> Labels:
    """Ring of `reach_um` around each nucleus (without it), with the label of the nucleus.

    A pixel between two nuclei goes to the nearer.
    """
    grown = expand(nuclei, reach_um / pixel_size_um)
    grown[nuclei > 0] = 0
    return grown


def _soma_threshold(fields: Sequence[Field], nuclei: Sequence[Labels], sizes: Sizes) -> float:
    from skimage.filters import threshold_otsu

    brightness = []
    for f, n in zip(fields, nuclei, strict=True):
        if n.max() == 0:
            continue
        ring = _around(n, f.pixel_size_um, 2.0)
        opened = _opened(f, n, sizes)
        counts = np.bincount(ring.ravel(), minlength=n.max() + 1)[1:]
        sums = np.bincount(ring.ravel(), opened.ravel(), minlength=n.max() + 1)[1:]
        brightness.append(sums[counts > 0] / counts[counts > 0])
    floor = _NOISE_FLOOR * _typical_noise(fields, "neurite")
    if not brightness:
        return max(floor, 1e-6)
    values = np.concatenate(brightness)
    # Nuclei without a neuron around them (glia, dead cells) sit near zero: the upper half are
    # neurons' somas.
    upper = (
        values[values > threshold_otsu(values)]
        if len(values) > 3 and values.max() > values.min()
        else values
    )
    return max(_SOMA_FRACTION * float(np.median(upper if len(upper) else values)), floor)


def segment_bodies(field: Field, threshold: float, sizes: Sizes) -> Labels:
    """Somas 1…n of a live reporter without DNA stain.

    Opened cell bodies above the threshold are split where their outline narrows.
    """
    # A soma is about half as wide again as its nucleus.
    body = replace(
        sizes,
        nucleus_diameter_um=1.5 * sizes.nucleus_diameter_um,
        min_nucleus_area_um2=2.25 * sizes.min_nucleus_area_um2,
    )
    return segment_nuclei(
        _opened(field, None, sizes), field.pixel_size_um, threshold, body, own_threshold=False
    )


def segment_somas(field: Field, nuclei: Labels, threshold: float, sizes: Sizes) -> Labels:
    """Somas of neuron-positive nuclei; the soma of nucleus i carries label i and contains it.

    A nucleus is neuron-positive if at least half of the 2 µm ring around it lies in a cell body.
    """
    from skimage.segmentation import watershed

    body = _opened(field, nuclei, sizes) > threshold
    count = int(nuclei.max()) + 1
    ring = _around(nuclei, field.pixel_size_um, 2.0)
    ring_area = np.bincount(ring.ravel(), minlength=count)
    ring_body = np.bincount(ring.ravel(), body.ravel(), minlength=count)
    positive = ring_body >= 0.5 * np.maximum(ring_area, 1)
    positive[0] = False
    seeds = np.where(positive[nuclei], nuclei, 0)
    if not seeds.any():
        return np.zeros_like(nuclei)
    outside = (nuclei == 0).astype(np.uint8)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, 5)
    reachable = (body | (seeds > 0)) & (distance <= sizes.max_soma_reach_um / field.pixel_size_um)
    reachable &= (nuclei == 0) | (seeds > 0)
    return np.asarray(watershed(distance, seeds, mask=reachable), np.int32)
