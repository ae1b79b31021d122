"""Labels and pixels ► one row a nucleus, one row a field.

All sums run over every label at once (`bincount`): no loop over objects.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from phenotypes.columns import NC_COARSEST_UM, PUNCTA_COARSEST_UM, columns, conform
from phenotypes.neurites import neurite_length_um
from segmentation import Field, Segmentation
from segmentation.background import background_level, noise_level
from segmentation.labels import expand

Labels = NDArray[np.int32]
Real = NDArray[np.float64]


@dataclass(frozen=True)
class MeasureSettings:
    """`ring_um`: width of the cytoplasm ring. `min_branch_um`: shorter side branches of neurites are thinning's."""

    ring_um: float = 3.0
    min_branch_um: float = 5.0


@dataclass(frozen=True)
class FieldMeasurement:
    """The cell table and the field's one-row table, both without the well's name."""

    cells: pl.DataFrame
    field: pl.DataFrame


def measure(
    field: Field, segmentation: Segmentation, settings: MeasureSettings | None = None, raw: Field | None = None
) -> FieldMeasurement:
    """Measure one field.

    `raw` is the field before illumination was corrected; background, saturation and focus are read from it.

    Raises
    ------
    ValueError
        There are no nuclei labels, or labels and pixels differ in shape.
    """
    settings = settings or MeasureSettings()
    if "nuclei" not in segmentation.labels:
        raise ValueError("no nuclei were segmented; nothing can be measured (is there a dna channel?)")
    for name, labels in segmentation.labels.items():
        if labels.shape != field.shape:
            raise ValueError(f"labels of {name} are {labels.shape}, the field is {field.shape}")
    return FieldMeasurement(_cells(field, segmentation, settings), _field_row(field, raw or field, segmentation, settings))


def _cells(field: Field, segmentation: Segmentation, settings: MeasureSettings) -> pl.DataFrame:
    nuclei = segmentation.labels["nuclei"]
    somas = segmentation.labels.get("somas")
    count = int(nuclei.max())
    n = count + 1
    px = field.pixel_size_um
    flat = nuclei.ravel()
    area = np.bincount(flat, minlength=n)[1:].astype(float)
    present = area > 0
    table: dict[str, NDArray[np.generic]] = {"label": np.arange(1, n)}
    table |= _shape(nuclei, area, px)
    if somas is not None:
        soma_area = np.bincount(somas.ravel(), minlength=n)[1:n].astype(float)
        table["is_neuron"] = soma_area > 0
        table["soma_area_um2"] = np.where(soma_area > 0, soma_area * px**2, np.nan)
    inner = _eroded(nuclei)
    ring = _ring(nuclei, somas, settings.ring_um / px)
    for role in (r for r in field.roles if r):
        raw = field.channel(role)
        image = raw - background_level(raw)
        nucleus = _mean(inner, image, n)
        cytoplasm = _mean(ring, image, n)
        table[f"nucleus_mean_{role}"] = nucleus
        table[f"nucleus_sum_{role}"] = np.bincount(flat, image.ravel(), minlength=n)[1:]
        table[f"cytoplasm_mean_{role}"] = cytoplasm
        if px <= NC_COARSEST_UM:
            # A ratio to something that is not above the noise of the mean is not a ratio of concentrations.
            floor = noise_level(raw) / 2
            valid = (nucleus > floor) & (cytoplasm > floor)
            ratio = np.full(count, np.nan)
            ratio[valid] = np.log2(nucleus[valid] / cytoplasm[valid])
            table[f"nc_log2_{role}"] = ratio
    puncta = segmentation.labels.get("puncta")
    if puncta is not None and somas is not None and px <= PUNCTA_COARSEST_UM:
        table |= _puncta(puncta, somas, soma_area > 0, n, px)
    frame = pl.DataFrame(table).filter(pl.Series(present))
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None))


def _shape(nuclei: Labels, area: Real, px: float) -> dict[str, NDArray[np.generic]]:
    """Area, position, equivalent ellipse, perimeter and form factor of all labels."""
    n = len(area) + 1
    y, x = np.nonzero(nuclei)
    label = nuclei[y, x]
    safe = np.maximum(area, 1)

    def total(weights: Real) -> Real:
        return np.asarray(np.bincount(label, weights, minlength=n)[1:], float)

    cy, cx = total(y.astype(float)) / safe, total(x.astype(float)) / safe
    dy, dx = y - cy[label - 1], x - cx[label - 1]
    # 1/12: the second moment of a pixel's own square (Haralick & Shapiro 1992).
    vyy, vxx, vxy = total(dy * dy) / safe + 1 / 12, total(dx * dx) / safe + 1 / 12, total(dy * dx) / safe
    mean, half = (vyy + vxx) / 2, np.hypot((vyy - vxx) / 2, vxy)
    major, minor = 4 * np.sqrt(mean + half), 4 * np.sqrt(np.maximum(mean - half, 0))
    perimeter = _perimeter(nuclei, n)
    border = np.zeros(n, bool)
    for edge in (nuclei[0], nuclei[-1], nuclei[:, 0], nuclei[:, -1]):
        border[edge] = True
    return {
        "y_um": (cy + 0.5) * px,
        "x_um": (cx + 0.5) * px,
        "touches_border": border[1:],
        "nucleus_area_um2": area * px**2,
        "nucleus_major_um": major * px,
        "nucleus_minor_um": minor * px,
        "nucleus_eccentricity": np.sqrt(1 - np.minimum(minor / np.maximum(major, 1e-9), 1) ** 2),
        "nucleus_perimeter_um": perimeter * px,
        "nucleus_form_factor": 4 * np.pi * area / np.maximum(perimeter, 1e-9) ** 2,
    }


def _perimeter(labels: Labels, n: int) -> Real:
    """Perimeter in pixels by Cauchy–Crofton: π/2 × the mean over four directions of boundary crossings × line spacing."""
    padded = np.pad(labels, 1)
    total = np.zeros(n)
    for first, second, spacing in (
        (padded[:, :-1], padded[:, 1:], 1.0),
        (padded[:-1], padded[1:], 1.0),
        (padded[:-1, :-1], padded[1:, 1:], np.sqrt(0.5)),
        (padded[1:, :-1], padded[:-1, 1:], np.sqrt(0.5)),
    ):
        differ = first != second
        crossings = np.bincount(first[differ], minlength=n) + np.bincount(second[differ], minlength=n)
        total += crossings[:n] * spacing
    return np.asarray(total[1:] * np.pi / 8)


def _eroded(nuclei: Labels) -> Labels:
    """Labels without their outermost pixel: there the optics mix nucleus and cytoplasm. Tiny nuclei keep all of theirs."""
    image = nuclei.astype(np.float32)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    same = (cv2.erode(image, cross) == image) & (cv2.dilate(image, cross) == image)
    inner = np.where(same, nuclei, 0)
    n = int(nuclei.max()) + 1
    lost = (np.bincount(inner.ravel(), minlength=n) == 0) & (np.bincount(nuclei.ravel(), minlength=n) > 0)
    return np.asarray(np.where(lost[nuclei], nuclei, inner), np.int32)


def _ring(nuclei: Labels, somas: Labels | None, width_px: float) -> Labels:
    """Ring from 1 px to `width_px` outside each nucleus, given to the nearest nucleus; inside its own soma if any."""
    grown = expand(nuclei, max(2.0, width_px))
    touching = cv2.dilate((nuclei > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    ring = np.where(touching, 0, grown)
    if somas is not None:
        has_soma = np.zeros(int(nuclei.max()) + 1, bool)
        has_soma[np.unique(somas)] = True
        has_soma[0] = False
        # A nucleus without soma keeps its whole ring, but never one that lies in another cell's soma.
        ring = np.where(has_soma[ring] & (somas != ring), 0, ring)
        ring = np.where(~has_soma[ring] & (somas > 0), 0, ring)
    return np.asarray(ring, np.int32)


def _mean(labels: Labels, image: NDArray[np.float32], n: int) -> Real:
    flat = labels.ravel()
    pixels = np.bincount(flat, minlength=n)[1:]
    sums = np.bincount(flat, image.ravel(), minlength=n)[1:]
    return np.where(pixels > 0, sums / np.maximum(pixels, 1), np.nan)


def _puncta(puncta: Labels, somas: Labels, neuron: NDArray[np.bool_], n: int, px: float) -> dict[str, NDArray[np.generic]]:
    """Count and area of puncta a soma; a punctum belongs to the soma that holds most of its pixels."""
    m = int(puncta.max()) + 1
    here = puncta > 0
    pairs = puncta[here].astype(np.int64) * n + somas[here]
    keys, sizes = np.unique(pairs, return_counts=True)
    order = np.lexsort((keys, sizes))
    owner = np.zeros(m, np.int64)
    owner[keys[order] // n] = keys[order] % n  # the largest overlap is written last
    area = np.bincount(puncta.ravel(), minlength=m)
    counts = np.bincount(owner[1:], minlength=n)[1:n]
    areas = np.bincount(owner[1:], area[1:], minlength=n)[1:n]
    return {
        "puncta_count": np.where(neuron, counts, -1),
        "puncta_area_um2": np.where(neuron, areas * px**2, np.nan),
    }


def _field_row(field: Field, camera: Field, segmentation: Segmentation, settings: MeasureSettings) -> pl.DataFrame:
    row: dict[str, object] = {"area_mm2": field.area_um2 / 1e6}
    warnings = list(segmentation.warnings)
    neurites = segmentation.labels.get("neurites")
    if neurites is not None:
        gate = columns("field")["neurite_length_um"].coarsest_pixel_um
        if gate is not None and field.pixel_size_um > gate:
            warnings.append(f"neurite length: pixel_size_too_coarse ({field.pixel_size_um:.3g} µm, at most {gate} µm)")
        else:
            row["neurite_length_um"] = neurite_length_um(neurites > 0, field.pixel_size_um, settings.min_branch_um)
            row["neurite_area_um2"] = float((neurites > 0).sum()) * field.pixel_size_um**2
        somas = segmentation.labels.get("somas")
        covered = (neurites > 0) if somas is None else (neurites > 0) | (somas > 0)
        row["neurite_coverage"] = float(covered.mean())
    if field.pixel_size_um > NC_COARSEST_UM:
        warnings.append(f"nuclear:cytoplasmic ratio: pixel_size_too_coarse ({field.pixel_size_um:.3g} µm, at most {NC_COARSEST_UM} µm)")
    for role in (r for r in camera.roles if r):
        raw = camera.channel(role)
        row[f"background_{role}"] = background_level(raw)
        row[f"saturated_{role}"] = _saturated(raw)
        row[f"focus_{role}"] = _focus(raw)
    row["warnings"] = "; ".join(warnings)
    return pl.DataFrame([row])


def _saturated(image: NDArray[np.float32]) -> float:
    """Share of pixels at the highest value if it is held by more than one in 10,000: a clipped camera, not one bright spot."""
    share = float((image >= image.max()).mean())
    return share if share > 1e-4 else 0.0


def _focus(image: NDArray[np.float32]) -> float:
    """Variance of the Laplacian over the image's variance, both less the noise's part; 0 for an empty field."""
    variance = float(image.var())
    noise = noise_level(image) ** 2
    # The 4-neighbour Laplacian multiplies the variance of white noise by 20.
    sharp = float(cv2.Laplacian(image, cv2.CV_32F).var()) - 20 * noise
    return max(0.0, sharp) / (variance - noise) if variance > 2 * noise else 0.0


def with_well(measurement: FieldMeasurement, well: str, number: int) -> FieldMeasurement:
    """The two tables with the well's name and the field's number, conforming to the dictionary."""
    place = [pl.lit(well).alias("well"), pl.lit(number, pl.Int64).alias("field")]
    cells = measurement.cells.with_columns(place)
    if "puncta_count" in cells.columns:
        cells = cells.with_columns(pl.when(pl.col("puncta_count") >= 0).then(pl.col("puncta_count")).alias("puncta_count"))
    return FieldMeasurement(conform(cells, "cell"), conform(measurement.field.with_columns(place), "field"))
