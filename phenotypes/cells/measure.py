"""Labels and pixels ► one row per cell and one row per field.

A cell is a nucleus; where a live assay has no DNA stain, it is a soma. All sums run over all
labels at once (`bincount`): there is no loop over objects. Calls that need the whole plate
(pyknotic, motor neuron, mislocalised) are made later, in `phenotypes.plates.calls`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
import polars as pl
import pydantic
from numpy.typing import NDArray

from phenotypes.cells import localisation
from phenotypes.cells.channel_shift import MOST_UM, channel_shift
from phenotypes.cells.compression import has_jpeg_blocks
from phenotypes.cells.image_quality import channel_quality, clump_fraction, covered, debris_fraction
from phenotypes.cells.morphology import perimeters, place, shapes
from phenotypes.cells.neurites import NeuriteSettings, of_field, per_soma, trace
from phenotypes.cells.ownership import owned_cells
from phenotypes.cells.partial_volume import Mixture, mixture
from phenotypes.columns.channels import details_of, neurites_of
from phenotypes.columns.dictionary import Level, columns, conform
from segmentation import Field, Segmentation
from segmentation.field import Image, Labels, Mask, Pixels, checked_field
from segmentation.filters.background import background_level, noise_level
from segmentation.filters.margins import levelled
from segmentation.settings import STRICT, Positive, meaning

Row = dict[str, object]
# Value of skeleton pixels that do not belong to a soma.
NO_SOMA = 2**31 - 1
# Background and pixel noise of each role's channel, in grey levels.
Levels = dict[str, tuple[float, float]]


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=STRICT)
class MeasureSettings(NeuriteSettings):
    """What is measured around the labels of a field, and how its neurites are measured."""

    ring_um: Annotated[Positive, meaning("Width of the cytoplasm ring around a nucleus.")] = 3.0


@dataclass(frozen=True)
class FieldMeasurement:
    """The cell table and the field's one-row table, both without the well's name.

    `graph` (Y, X) int32 is the neurites' skeleton as it was measured: each pixel has the label of
    the soma that it belongs to, or NO_SOMA. None where neurites were not segmented.

    Examples
    --------
    >>> import polars as pl
    >>> from phenotypes import FieldMeasurement
    >>> FieldMeasurement(pl.DataFrame({"label": [1, 2]}), pl.DataFrame({"warnings": [""]}))
    FieldMeasurement(2 cells, without a neurite graph)
    """

    cells: pl.DataFrame
    field: pl.DataFrame
    graph: Labels | None = None

    def __repr__(self) -> str:
        graph = "without a neurite graph" if self.graph is None else "with a neurite graph"
        return f"FieldMeasurement({len(self.cells)} cells, {graph})"


def measure(
    field: Field,
    segmentation: Segmentation,
    settings: MeasureSettings | None = None,
    raw: Field | None = None,
    owned: Mask | None = None,
) -> FieldMeasurement:
    """Measure one field.

    `raw` is the field before illumination was corrected; background, saturation and focus are read
    from it. Columns that the field's pixels are too coarse for are null, and `warnings` names them.

    `owned` (Y, X) are the pixels that count for this field where fields of a well overlap (see
    `phenotypes.cells.ownership`): the field's areas, counts and neurite lengths are those on these
    pixels. The cell table has all cells, with those that belong to a neighbouring field.

    Raises
    ------
    TypeError
        `field` is not a Field or `segmentation` is not a Segmentation.
    ValueError
        There are neither nuclei nor somas among the labels, or labels and pixels differ in shape.

    Examples
    --------
    >>> import numpy as np
    >>> from phenotypes import measure
    >>> from segmentation import Field, segment
    >>> y, x = np.mgrid[:96, :96]
    >>> nucleus = np.where((y - 40) ** 2 + (x - 48) ** 2 < 9**2, 900, 100)
    >>> field = Field(nucleus[None], ("dna",), pixel_size_um=0.65)
    >>> measured = measure(field, segment(field, "classical"))
    >>> measured.cells.select("label", "nucleus_area_um2").rows()
    [(1, 105.2...)]
    >>> measure(nucleus, nucleus)
    Traceback (most recent call last):
    TypeError: expected a segmentation.Field, got an array of shape (96, 96); ...
    """
    checked_field(field)
    if not isinstance(segmentation, Segmentation):
        raise TypeError(
            f"expected a segmentation.Segmentation, got {type(segmentation).__name__}; "
            "wrap labels of your own: Segmentation({'nuclei': labels}, engine='my own')"
        )
    settings = settings or MeasureSettings()
    objects = segmentation.labels.get("nuclei", segmentation.labels.get("somas"))
    if objects is None:
        raise ValueError(
            "neither nuclei nor somas were segmented, so nothing can be measured; give one of the"
            " field's channels the role dna or neurite"
        )
    for name, labels in segmentation.labels.items():
        if labels.shape != field.shape:
            raise ValueError(
                f"labels of {name} are {labels.shape} pixels, the field is {field.shape}; segment"
                " the field that you measure"
            )
    warnings = list(segmentation.warnings)
    pixels = Pixels(objects)
    levels = {
        role: (
            background_level(field.channel(role), field.valid_area.inside),
            noise_level(field.channel(role), field.valid_area.inside),
        )
        for role in field.roles
        if role
    }
    row = _field_row(field, raw or field, segmentation, pixels, levels)
    columns_of = _cells(field, segmentation, pixels, settings, levels, warnings)
    graph = _neurites(field, segmentation, settings, columns_of, row, warnings, owned)
    cells = (
        pl.DataFrame(columns_of)
        .filter(pl.Series(pixels.count[1:] > 0))
        .with_columns(pl.col(pl.Float64).fill_nan(None))
    )
    if owned is not None:
        row |= _owned(field, owned, cells, "nuclei" in segmentation.labels)
        warnings.append(
            f"overlap: {1 - owned.mean():.1%} of the field is counted in a neighbouring field"
        )
    cells, coarse_cells = _gated(cells, "cell", field.pixel_size_um)
    fields, coarse_fields = _gated(pl.DataFrame([row]), "field", field.pixel_size_um)
    if coarse := sorted({*coarse_cells, *coarse_fields}):
        warnings.append(
            f"pixel_size_too_coarse ({field.pixel_size_um:.3g} µm) for {', '.join(coarse)}"
        )
    cells, fields = _without_compressed(raw or field, cells, fields, warnings)
    return FieldMeasurement(
        cells, fields.with_columns(pl.lit("; ".join(warnings)).alias("warnings")), graph
    )


def _without_compressed(
    camera: Field, cells: pl.DataFrame, fields: pl.DataFrame, warnings: list[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Both tables without what the blocks of a JPEG would be measured as."""
    lossy = [role for role in camera.roles if role and has_jpeg_blocks(camera.channel(role))]
    if not lossy:
        return cells, fields
    warnings.append(
        f"compressed_with_loss: the blocks of a JPEG are in {', '.join(lossy)}, so ratios, spots"
        " and neurites of these channels are not given; export images without loss (TIFF)"
    )
    names = {name for role in lossy for name in details_of(role)}
    if "neurite" in lossy:
        names |= {*neurites_of("cell"), *neurites_of("field")}
    return _nulled(cells, names), _nulled(fields, names)


def _nulled(table: pl.DataFrame, names: set[str]) -> pl.DataFrame:
    return table.with_columns(
        pl.lit(None).cast(table.schema[name]).alias(name) for name in table.columns if name in names
    )


def _gated(table: pl.DataFrame, level: Level, px: float) -> tuple[pl.DataFrame, list[str]]:
    """The table with null in columns that pixels of this size cannot carry, and their names."""
    known = columns(level)
    coarse = [
        n
        for n in table.columns
        if (c := known.get(n)) and c.coarsest_pixel_um is not None and px > c.coarsest_pixel_um
    ]
    return _nulled(table, set(coarse)), coarse


def _cells(
    field: Field,
    segmentation: Segmentation,
    pixels: Pixels,
    settings: MeasureSettings,
    levels: Levels,
    warnings: list[str],
) -> dict[str, NDArray[np.generic]]:
    labels, px, n = segmentation.labels, field.pixel_size_um, pixels.n
    nuclei, somas = labels.get("nuclei"), labels.get("somas")
    table: dict[str, NDArray[np.generic]] = {"label": np.arange(1, n + 1), **place(pixels, px)}
    inside = field.valid_area.inside
    if inside is not None:
        near = cv2.dilate((~inside).astype(np.uint8), np.ones((3, 3), np.uint8)).ravel()
        cut = np.bincount(pixels.of, near[pixels.index], n + 1)[1:] > 0
        table["touches_border"] = np.asarray(table["touches_border"], bool) | cut
    if nuclei is not None:
        table |= shapes(nuclei, pixels, px)
        if "nuclei" in segmentation.confidence:
            table["nucleus_confidence"] = segmentation.confidence["nuclei"]
    soma = pixels if nuclei is None else None if somas is None else Pixels(somas, n)
    soma_area = np.zeros(n) if soma is None else soma.count[1:] * px**2
    neuron = soma_area > 0
    if soma is not None and somas is not None:
        around = perimeters(somas, soma) * px
        table["is_neuron"] = neuron
        table["soma_area_um2"] = np.where(neuron, soma_area, np.nan)
        table["soma_form_factor"] = np.where(
            neuron, 4 * np.pi * soma_area / np.maximum(around, 1e-9) ** 2, np.nan
        )
    images = {
        role: field.channel(role) - np.float32(background)
        for role, (background, _) in levels.items()
    }
    shares = None
    if nuclei is not None and "dna" in images:
        shares = mixture(images["dna"], images.get("neurite"), nuclei, somas, settings.ring_um, px)
        if shares.thin.any():
            warnings.append(
                f"cytoplasm_too_thin: the optics cannot resolve the cytoplasm of"
                f" {shares.thin.sum()} of {neuron.sum()} neurons, so their cytoplasm_mean and"
                " nc_log2 are null"
            )
        images |= _taken_back(images, shares, px, warnings)
    for role, image in images.items():
        noise = levels[role][1]
        if soma is not None:
            table[f"soma_mean_{role}"] = soma.mean(image)
        if shares is not None:
            nucleus, cytoplasm, behind_rim = shares.levels(image, role == "envelope")
            if (behind_rim & neuron).any():
                warnings.append(
                    f"cytoplasm_too_thin: light of the nuclear rim cannot be told from that of the"
                    f" cytoplasm of {(behind_rim & neuron).sum()} of {neuron.sum()} neurons in"
                    f" {role}, so their cytoplasm_mean and nc_log2 are null"
                )
            table[f"nucleus_mean_{role}"] = nucleus
            table[f"nucleus_sum_{role}"] = pixels.sum(image)
            table[f"cytoplasm_mean_{role}"] = cytoplasm
            table[f"nc_log2_{role}"] = localisation.nc_log2(nucleus, cytoplasm, noise)
    if somas is not None:
        for name, compartment, role in (
            ("puncta", "puncta", "aggregate"),
            ("granule", "granules", "granule"),
        ):
            if compartment in labels and role in images:
                # Labels of spots lie where the channel shows them.
                there = field.channel(role) - np.float32(levels[role][0])
                measured = localisation.spots(labels[compartment], somas, nuclei, there, n, px)
                # Granules lie in the cytoplasm; the soma's area includes its nucleus.
                space = soma_area - (
                    0 if name == "puncta" or nuclei is None else pixels.count[1:] * px**2
                )
                measured["area_fraction"] = np.divide(
                    measured["area_um2"], space, out=np.full(n, np.nan), where=space > 0
                )
                table |= {
                    f"{name}_{part}": np.where(neuron, value, np.nan)
                    for part, value in measured.items()
                }
        if "granules" in labels and "aggregate" in images:
            overlap = localisation.manders(images["aggregate"], labels["granules"], somas, n)
            table |= {
                f"manders_{part}": np.where(neuron, value, np.nan)
                for part, value in overlap.items()
            }
    if nuclei is not None and "envelope" in images:
        table |= {
            f"rim_{part}_envelope": value
            for part, value in localisation.rim(nuclei, images["envelope"], n, px).items()
        }
    return table


def _taken_back(
    images: Mapping[str, Image], shares: Mixture, px: float, warnings: list[str]
) -> dict[str, Image]:
    """The channels that lay beside the outlines of the DNA and neurite stains, where those are."""
    moved: dict[str, Image] = {}
    for role, image in images.items():
        if role in ("dna", "neurite"):
            continue
        shift = channel_shift(shares, image, px)
        if shift is None or not shift.sure:
            continue
        where = f"channel_shifted: {role} lies {shift.distance_um:.2g} µm from the cells' outlines"
        if shift.distance_um > MOST_UM:
            warnings.append(
                f"{where}, too far to say whose light is whose: its levels and ratios are null"
            )
            moved[role] = np.full_like(image, np.nan)
        else:
            warnings.append(f"{where}; it was moved back before it was measured")
            moved[role] = shift.taken_back(image, px)
    return moved


def _field_row(
    field: Field, camera: Field, segmentation: Segmentation, pixels: Pixels, levels: Levels
) -> Row:
    labels = segmentation.labels
    height, width = (n * field.pixel_size_um for n in field.shape)
    row: Row = {
        "area_mm2": field.area_um2 / 1e6,
        "valid_area_mm2": field.valid_area_um2 / 1e6,
        "outside_fraction": field.valid_area.outside,
        "clump_count": len(field.valid_area.clumps_um2),
        "height_um": height,
        "width_um": width,
        **channel_quality(
            camera,
            field,
            {role: noise for role, (_, noise) in levels.items()},
            [labels[name] for name in ("nuclei", "somas") if name in labels],
        ),
    }
    row["confluence"] = covered(
        labels.get("neurites"), labels.get("somas"), of=field.valid_area.share
    )
    if "nuclei" in labels:
        background, noise = levels["dna"]
        row["nuclei_count"] = int((pixels.count > 0).sum())
        sure = segmentation.confidence.get("nuclei", np.empty(0))
        if len(sure):
            row["nucleus_confidence"] = float(np.nanpercentile(sure, 10))
        row["clump_fraction"] = clump_fraction(labels["nuclei"], pixels)
        row["debris_fraction"] = debris_fraction(
            levelled(field, "dna") - np.float32(background), pixels, noise, field.pixel_size_um
        )
    return row


def _owned(field: Field, owned: Mask, cells: pl.DataFrame, stained: bool) -> Row:
    """Areas and counts of the part of a field that counts for it."""
    inside = field.valid_area.inside
    valid = owned if inside is None else owned & inside
    row: Row = {
        "area_mm2": float(owned.mean()) * field.area_um2 / 1e6,
        "valid_area_mm2": float(valid.mean()) * field.area_um2 / 1e6,
    }
    if stained:
        row["nuclei_count"] = int(owned_cells(cells, owned, field.pixel_size_um).sum())
    return row


def _neurites(
    field: Field,
    segmentation: Segmentation,
    settings: MeasureSettings,
    cells: dict[str, NDArray[np.generic]],
    row: Row,
    warnings: list[str],
    owned: Mask | None,
) -> Labels | None:
    """Add the neurites' columns to both tables, and return the graph.

    Columns of single neurons are added only where the image tells the neurons apart.
    """
    mask = segmentation.labels.get("neurites")
    if mask is None:
        return None
    somas = segmentation.labels.get("somas")
    traced = trace(mask > 0, somas, field.pixel_size_um, settings)
    row |= of_field(traced, mask > 0, field.pixel_size_um, settings, owned)
    row |= segmentation.figures
    graph = np.zeros(mask.shape, np.int32)
    graph[traced.graph.y, traced.graph.x] = np.where(traced.soma > 0, traced.soma, NO_SOMA)
    if somas is None:
        return graph
    conflict = traced.conflict_fraction
    if conflict > settings.max_conflict:
        warnings.append(
            f"attribution_conflict: {conflict:.0%} of the neurite length lies in pieces that touch"
            f" several somas (limit {settings.max_conflict:.0%})"
        )
        return graph
    n = len(cells["label"])
    neuron = np.asarray(cells["is_neuron"], bool)
    cells |= {
        name: np.where(neuron, v, np.nan)
        for name, v in per_soma(traced, somas, n, field.pixel_size_um, settings).items()
    }
    return graph


def with_well(
    measurement: FieldMeasurement, well: str, number: int, frame: int = 1, label_version: int = 1
) -> FieldMeasurement:
    """Both tables with well, field number, frame and label version, as the dictionary has them."""
    numbers = {"field": number, "frame": frame, "label_version": label_version}
    where = [
        pl.lit(well).alias("well"),
        *(pl.lit(value, pl.Int64).alias(name) for name, value in numbers.items()),
    ]
    cells, field = measurement.cells.with_columns(where), measurement.field.with_columns(where)
    return FieldMeasurement(conform(cells, "cell"), conform(field, "field"), measurement.graph)
