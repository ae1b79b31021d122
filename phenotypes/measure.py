"""Labels and pixels ► one row a cell, one row a field.

A cell is a nucleus; where a live assay has no DNA stain, it is a soma. All sums run over every label at once (`bincount`):
no loop over objects. What needs the whole plate (pyknotic, motor neuron, mislocalised) is said later, in `phenotypes.calls`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from phenotypes import aggregates
from phenotypes.columns import Level, columns, conform
from phenotypes.morphology import perimeters, place, shapes
from phenotypes.neurites import MAX_CONFLICT, NeuriteSettings, of_field, per_soma, trace
from phenotypes.quality import channel_quality, clump_fraction, covered, debris_fraction
from segmentation import Field, Segmentation
from segmentation.background import background_level, noise_level
from segmentation.field import Labels

Row = dict[str, object]


@dataclass(frozen=True)
class MeasureSettings:
    """`ring_um`: width of the cytoplasm ring around a nucleus."""

    ring_um: float = 3.0
    neurites: NeuriteSettings = field(default_factory=NeuriteSettings)


@dataclass(frozen=True)
class FieldMeasurement:
    """The cell table and the field's one-row table, both without the well's name."""

    cells: pl.DataFrame
    field: pl.DataFrame


def measure(
    field: Field, segmentation: Segmentation, settings: MeasureSettings | None = None, raw: Field | None = None
) -> FieldMeasurement:
    """Measure one field.

    `raw` is the field before illumination was corrected; background, saturation and focus are read from it. Columns that
    the field's pixels are too coarse for are null, and `warnings` names them.

    Raises
    ------
    ValueError
        There are neither nuclei nor somas among the labels, or labels and pixels differ in shape.
    """
    settings = settings or MeasureSettings()
    objects = segmentation.labels.get("nuclei", segmentation.labels.get("somas"))
    if objects is None:
        raise ValueError("neither nuclei nor somas were segmented; nothing can be measured (is there a dna or a neurite channel?)")
    for name, labels in segmentation.labels.items():
        if labels.shape != field.shape:
            raise ValueError(f"labels of {name} are {labels.shape}, the field is {field.shape}")
    warnings = list(segmentation.warnings)
    row = _field_row(field, raw or field, segmentation)
    columns_of = _cells(field, segmentation, objects, settings)
    _neurites(field, segmentation, settings, columns_of, row, warnings)
    present = np.bincount(objects.ravel(), minlength=int(objects.max()) + 1)[1:] > 0
    cells = pl.DataFrame(columns_of).filter(pl.Series(present)).with_columns(pl.col(pl.Float64).fill_nan(None))
    cells, coarse_cells = _gated(cells, "cell", field.pixel_size_um)
    fields, coarse_fields = _gated(pl.DataFrame([row]), "field", field.pixel_size_um)
    if coarse := sorted({*coarse_cells, *coarse_fields}):
        warnings.append(f"pixel_size_too_coarse ({field.pixel_size_um:.3g} µm) for {', '.join(coarse)}")
    return FieldMeasurement(cells, fields.with_columns(pl.lit("; ".join(warnings)).alias("warnings")))


def _gated(table: pl.DataFrame, level: Level, px: float) -> tuple[pl.DataFrame, list[str]]:
    """The table with null in columns that pixels of this size cannot carry, and their names."""
    known = columns(level)
    coarse = [n for n in table.columns if (c := known.get(n)) and c.coarsest_pixel_um is not None and px > c.coarsest_pixel_um]
    return table.with_columns(pl.lit(None).cast(known[n].dtype).alias(n) for n in coarse), coarse


def _cells(field: Field, segmentation: Segmentation, objects: Labels, settings: MeasureSettings) -> dict[str, NDArray[np.generic]]:
    labels, px, n = segmentation.labels, field.pixel_size_um, int(objects.max())
    nuclei, somas = labels.get("nuclei"), labels.get("somas")
    area = np.bincount(objects.ravel(), minlength=n + 1)[1:].astype(float)
    table: dict[str, NDArray[np.generic]] = {"label": np.arange(1, n + 1), **place(objects, area, px)}
    if nuclei is not None:
        table |= shapes(nuclei, area, px)
    soma_area = np.zeros(n) if somas is None else np.bincount(somas.ravel(), minlength=n + 1)[1 : n + 1].astype(float)
    neuron = soma_area > 0
    if somas is not None:
        table["is_neuron"] = neuron
        around = perimeters(somas, n + 1)
        table["soma_area_um2"] = np.where(neuron, soma_area * px**2, np.nan)
        table["soma_form_factor"] = np.where(neuron, 4 * np.pi * soma_area / np.maximum(around, 1e-9) ** 2, np.nan)
    inner = ring = None
    if nuclei is not None:
        inner, ring = aggregates.eroded(nuclei), aggregates.cytoplasm_ring(nuclei, somas, settings.ring_um / px)
    images = {}
    for role in (r for r in field.roles if r):
        raw = field.channel(role)
        images[role] = image = raw - np.float32(background_level(raw))
        if somas is not None:
            table[f"soma_mean_{role}"] = aggregates.mean_in(somas, image, n)
        if nuclei is not None and inner is not None and ring is not None:
            nucleus, cytoplasm = aggregates.mean_in(inner, image, n), aggregates.mean_in(ring, image, n)
            table[f"nucleus_mean_{role}"] = nucleus
            table[f"nucleus_sum_{role}"] = nucleus_sums(nuclei, image, n)
            table[f"cytoplasm_mean_{role}"] = cytoplasm
            table[f"nc_log2_{role}"] = aggregates.nc_log2(nucleus, cytoplasm, noise_level(raw))
    if somas is not None:
        for name, compartment, role in (("puncta", "puncta", "aggregate"), ("granule", "granules", "granule")):
            if compartment in labels and role in images:
                found = aggregates.spots(labels[compartment], somas, nuclei, images[role], n, px)
                space = soma_area * px**2 - (0 if name == "puncta" or nuclei is None else area * px**2)
                found["area_fraction"] = np.divide(found["area_um2"], space, out=np.full(n, np.nan), where=space > 0)
                table |= {f"{name}_{part}": np.where(neuron, value, np.nan) for part, value in found.items()}
        if "granules" in labels and "aggregate" in images:
            overlap = aggregates.manders(images["aggregate"], labels["granules"], somas, n)
            table |= {f"manders_{part}": np.where(neuron, value, np.nan) for part, value in overlap.items()}
    if nuclei is not None and "envelope" in images:
        table |= {f"rim_{part}_envelope": value for part, value in aggregates.rim(nuclei, images["envelope"], n, px).items()}
    return table


def nucleus_sums(nuclei: Labels, image: NDArray[np.float32], n: int) -> NDArray[np.float64]:
    """Summed intensity of nuclei 1…n."""
    here = nuclei > 0
    return np.asarray(np.bincount(nuclei[here], image[here], n + 1)[1:], float)


def _field_row(field: Field, camera: Field, segmentation: Segmentation) -> Row:
    labels = segmentation.labels
    nuclei = labels.get("nuclei")
    height, width = (n * field.pixel_size_um for n in field.shape)
    row: Row = {"area_mm2": field.area_um2 / 1e6, "height_um": height, "width_um": width, **channel_quality(camera, field)}
    row["confluence"] = covered(labels.get("neurites"), labels.get("somas"))
    if nuclei is not None:
        row["nuclei_count"] = len(np.unique(nuclei)) - int((nuclei == 0).any())
        row["clump_fraction"] = clump_fraction(nuclei)
        dna = field.channel("dna")
        row["debris_fraction"] = debris_fraction(dna - np.float32(background_level(dna)), nuclei, field.pixel_size_um)
    return row


def _neurites(
    field: Field,
    segmentation: Segmentation,
    settings: MeasureSettings,
    cells: dict[str, NDArray[np.generic]],
    row: Row,
    warnings: list[str],
) -> None:
    """Add the neurites' columns to both tables; those of single neurons only where the picture tells neurons apart."""
    mask = segmentation.labels.get("neurites")
    if mask is None:
        return
    somas = segmentation.labels.get("somas")
    traced = trace(mask > 0, somas, field.pixel_size_um, settings.neurites)
    row |= of_field(traced, mask > 0, field.pixel_size_um)
    if somas is None:
        return
    conflict = traced.conflict_fraction
    if conflict > MAX_CONFLICT:
        warnings.append(
            f"attribution_conflict: {conflict:.0%} of the neurite length lies in pieces that touch several somas (limit {MAX_CONFLICT:.0%})"
        )
        return
    n = len(cells["label"])
    neuron = np.asarray(cells["is_neuron"], bool)
    cells |= {name: np.where(neuron, v, np.nan) for name, v in per_soma(traced, somas, n, field.pixel_size_um, settings.neurites).items()}


def with_well(measurement: FieldMeasurement, well: str, number: int, frame: int = 1) -> FieldMeasurement:
    """The two tables with the well's name, the field's number and the frame, conforming to the dictionary."""
    where = [pl.lit(well).alias("well"), pl.lit(number, pl.Int64).alias("field"), pl.lit(frame, pl.Int64).alias("frame")]
    return FieldMeasurement(conform(measurement.cells.with_columns(where), "cell"), conform(measurement.field.with_columns(where), "field"))
