"""Every output column once: name, unit, type, meaning, formula. Tables are checked against it and documentation is made
from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

Level = Literal["cell", "field", "well", "quality", "response"]
Scale = Literal["percent", "difference"]

# Roles that may carry an intensity; columns named …_{role} stand for one column each.
INTENSITY_ROLES = ("dna", "neurite", "identity", "aggregate", "death")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    `scale` is set on well columns that can be a phenotype of the response table: "percent" of the vehicle mean for
    counts, lengths and areas, "difference" to it for logarithms and fractions, which may be zero or negative.
    `coarsest_pixel_um` is the largest pixel at which the number means anything.
    """

    name: str
    level: Level
    unit: str
    dtype: pl.DataType
    meaning: str
    scale: Scale | None = None
    coarsest_pixel_um: float | None = None


_TEXT, _INT, _REAL, _BOOL = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()


def _per_role(level: Level, name: str, unit: str, meaning: str, **more: float | Scale | None) -> list[Column]:
    return [
        Column(
            f"{name}_{role}", level, unit, _REAL, meaning.format(role=role),
            scale=more.get("scale"), coarsest_pixel_um=more.get("coarsest_pixel_um"),  # type: ignore[arg-type]
        )
        for role in INTENSITY_ROLES
    ]  # fmt: skip


NC_COARSEST_UM = 1.0
PUNCTA_COARSEST_UM = 0.7

_CELL = [
    Column("well", "cell", "", _TEXT, "Well name, such as B03."),
    Column("field", "cell", "", _INT, "Field number within the well, from 1."),
    Column("label", "cell", "", _INT, "Label of the nucleus in the field's label images; its soma carries the same."),
    Column("y_um", "cell", "µm", _REAL, "Centre of mass of the nucleus, from the field's top edge."),
    Column("x_um", "cell", "µm", _REAL, "Centre of mass of the nucleus, from the field's left edge."),
    Column("touches_border", "cell", "", _BOOL, "Whether the nucleus is cut by the field's edge; its area and shape are then left out of well means."),
    Column("is_neuron", "cell", "", _BOOL, "Whether the nucleus lies in a neuron-positive soma. Null without a neurite channel."),
    Column("is_pyknotic", "cell", "", _BOOL, "Nucleus area < 0.5 and mean DNA intensity > 1.5 of the medians of vehicle nuclei of the same line and plate. Null where the line has no vehicle nuclei."),
    Column("nucleus_area_um2", "cell", "µm²", _REAL, "Area of the nucleus."),
    Column("nucleus_major_um", "cell", "µm", _REAL, "Major axis of the ellipse with the nucleus's second moments."),
    Column("nucleus_minor_um", "cell", "µm", _REAL, "Minor axis of that ellipse."),
    Column("nucleus_eccentricity", "cell", "", _REAL, "√(1 − (minor/major)²): 0 for a circle."),
    Column("nucleus_perimeter_um", "cell", "µm", _REAL, "Perimeter by the Cauchy–Crofton formula over four directions."),
    Column("nucleus_form_factor", "cell", "", _REAL, "4π·area / perimeter²: 1 for a circle."),
    Column("soma_area_um2", "cell", "µm²", _REAL, "Area of the soma, nucleus included. Null for a nucleus without soma."),
    *_per_role("cell", "nucleus_mean", "grey level", "Mean {role} intensity above background in the nucleus eroded by 1 px."),
    *_per_role("cell", "nucleus_sum", "grey level", "Summed {role} intensity above background in the whole nucleus."),
    *_per_role("cell", "cytoplasm_mean", "grey level", "Mean {role} intensity above background in a ring from 1 px to the protocol's width outside the nucleus, inside the soma where there is one."),
    *_per_role("cell", "nc_log2", "log2", "log2(nucleus_mean / cytoplasm_mean) of {role}. Null where either is not above the noise.", coarsest_pixel_um=NC_COARSEST_UM),
    Column("puncta_count", "cell", "", _INT, "Puncta in the soma. Null for a nucleus without soma.", coarsest_pixel_um=PUNCTA_COARSEST_UM),
    Column("puncta_area_um2", "cell", "µm²", _REAL, "Summed area of the puncta in the soma.", coarsest_pixel_um=PUNCTA_COARSEST_UM),
]  # fmt: skip

_FIELD = [
    Column("well", "field", "", _TEXT, "Well name."),
    Column("field", "field", "", _INT, "Field number within the well."),
    Column("area_mm2", "field", "mm²", _REAL, "Imaged area."),
    Column("neurite_length_um", "field", "µm", _REAL, "Length of all neurites outside somas.", coarsest_pixel_um=1.5),
    Column("neurite_area_um2", "field", "µm²", _REAL, "Area of the neurite mask."),
    Column("neurite_coverage", "field", "", _REAL, "Share of the field covered by neurites and somas."),
    *_per_role("field", "background", "grey level", "Background of the {role} channel that was subtracted."),
    *_per_role("field", "saturated", "", "Share of pixels of the {role} channel at its highest value, where that value is held by many."),
    *_per_role("field", "focus", "", "Sharpness of the {role} channel: variance of the Laplacian over variance, after removal of noise."),
    Column("warnings", "field", "", _TEXT, "What segmentation or measurement had to say, separated by semicolons."),
]  # fmt: skip

_WELL = [
    Column("well", "well", "", _TEXT, "Well name."),
    Column("status", "well", "", _TEXT, "done, failed or skipped."),
    Column("reason", "well", "", _TEXT, "Why a well has no numbers."),
    Column("line", "well", "", _TEXT, "Cell line, from the plate map."),
    Column("genotype", "well", "", _TEXT, "Genotype of the line, from the plate map."),
    Column("compound", "well", "", _TEXT, "Compound, from the plate map."),
    Column("dose_molar", "well", "mol/L", _REAL, "Dose; 0 in vehicle wells."),
    Column("control", "well", "", _TEXT, "none, vehicle, positive or negative."),
    Column("batch", "well", "", _TEXT, "Differentiation batch, from the plate map."),
    Column("n_fields", "well", "", _INT, "Fields measured."),
    Column("area_mm2", "well", "mm²", _REAL, "Imaged area of these fields."),
    Column("nuclei_count", "well", "", _INT, "Nuclei, pyknotic ones included."),
    Column("neuron_count", "well", "", _INT, "Intact nuclei in neuron-positive somas. Null without a neurite channel."),
    Column("live_count", "well", "", _INT, "Intact neurons; intact nuclei where there is no neurite channel to tell neurons by. Null where the line has no vehicle nuclei to tell pyknotic ones by."),
    Column("nuclei_density", "well", "1/mm²", _REAL, "nuclei_count / area_mm2.", scale="percent"),
    Column("live_density", "well", "1/mm²", _REAL, "live_count / area_mm2: wells with unequal fields stay comparable.", scale="percent"),
    Column("survival_fixed", "well", "", _REAL, "live_density / mean live_density of the vehicle wells of the same line and plate. Dead cells wash off: read it beside pyknotic_fraction."),
    Column("pyknotic_fraction", "well", "", _REAL, "Pyknotic / (pyknotic + intact) nuclei. Small bright glial nuclei are its known false positives.", scale="difference"),
    Column("nucleus_area_mean", "well", "µm²", _REAL, "Mean area of intact nuclei (of neurons where they are known) inside the field.", scale="percent"),
    Column("soma_area_mean", "well", "µm²", _REAL, "Mean soma area of intact neurons inside the field.", scale="percent"),
    Column("neurite_length_total", "well", "µm", _REAL, "Neurite length over all fields of the well; wells with unequal fields are compared by neurite_length_density.", coarsest_pixel_um=1.5),
    Column("neurite_length_density", "well", "mm/mm²", _REAL, "neurite_length_total / area.", scale="percent", coarsest_pixel_um=1.5),
    Column("neurite_length_per_neuron", "well", "µm", _REAL, "neurite_length_total / neuron_count (ratio of sums). Killing neurons raises it: read it beside neuron_count.", scale="percent", coarsest_pixel_um=1.5),
    *_per_role("well", "nucleus_mean", "grey level", "Mean over cells of the cells' nucleus_mean_{role}.", scale="percent"),
    *_per_role("well", "nc_log2", "log2", "Mean over cells of nc_log2_{role} (neurons where they are known): mean of log ratios.", scale="difference", coarsest_pixel_um=NC_COARSEST_UM),
    Column("puncta_per_neuron", "well", "", _REAL, "Mean puncta_count over intact neurons, zeros included.", scale="difference", coarsest_pixel_um=PUNCTA_COARSEST_UM),
    Column("puncta_positive_fraction", "well", "", _REAL, "Share of intact neurons with at least one punctum.", scale="difference", coarsest_pixel_um=PUNCTA_COARSEST_UM),
]  # fmt: skip

_QUALITY = [
    Column("line", "quality", "", _TEXT, "Cell line."),
    Column("phenotype", "quality", "", _TEXT, "Well column."),
    Column("status", "quality", "", _TEXT, "ok, or why nothing was computed."),
    Column("reason", "quality", "", _TEXT, "The status in words."),
    Column("n_vehicle", "quality", "", _INT, "Vehicle wells with a value."),
    Column("n_positive", "quality", "", _INT, "Positive-control wells with a value."),
    Column("vehicle_mean", "quality", "", _REAL, "Mean of the vehicle wells, in the phenotype's unit."),
    Column("vehicle_cv", "quality", "", _REAL, "Standard deviation / mean of the vehicle wells; null for phenotypes that may be zero."),
    Column("positive_mean", "quality", "", _REAL, "Mean of the positive-control wells."),
    *[
        Column(f"{name}{part}", "quality", "", _REAL, meaning + tail)
        for name, meaning in (
            ("z_prime", "Z′ = 1 − 3(σp + σn)/|µp − µn|"),
            ("robust_z_prime", "Z′ with medians and 1.4826 MAD"),
            ("ssmd", "SSMD = (µp − µn)/√(σp² + σn²)"),
        )
        for part, tail in (("", "."), ("_low", ", lower end of its 95 % bootstrap interval."), ("_high", ", upper end."))
    ],
]  # fmt: skip

_RESPONSE = [
    Column("line", "response", "", _TEXT, "Cell line."),
    Column("genotype", "response", "", _TEXT, "Its genotype."),
    Column("compound", "response", "", _TEXT, "Compound."),
    Column("phenotype", "response", "", _TEXT, "Well column that responds."),
    Column("unit", "response", "", _TEXT, "Unit of e0, emax, effect and auc: % of vehicle, or the phenotype's own as a difference to vehicle."),
    Column("status", "response", "", _TEXT, "ok, flat, below_tested_range, above_tested_range, not_determined, or why nothing was fitted."),
    Column("reason", "response", "", _TEXT, "The status in words."),
    Column("direction", "response", "", _TEXT, "ascending or descending."),
    Column("model", "response", "", _TEXT, "hill4 or constant."),
    Column("n_cells", "response", "", _INT, "Cells in the wells used; no part of any degree of freedom."),
    Column("n_wells", "response", "", _INT, "Treated wells used."),
    Column("n_vehicle", "response", "", _INT, "Vehicle wells used."),
    Column("n_doses", "response", "", _INT, "Different doses."),
    Column("n_plates", "response", "", _INT, "Plates."),
    Column("n_batches", "response", "", _INT, "Differentiation batches."),
    Column("ec50_molar", "response", "mol/L", _REAL, "Dose of the half-maximal effect (relative EC50)."),
    Column("ec50_low", "response", "mol/L", _REAL, "Lower end of its 95 % profile-likelihood interval; null if it is open."),
    Column("ec50_high", "response", "mol/L", _REAL, "Upper end; null if it is open."),
    Column("hill", "response", "", _REAL, "Hill slope, > 0 in both directions."),
    Column("e0", "response", "", _REAL, "Fitted response without compound."),
    Column("emax", "response", "", _REAL, "Fitted response at the highest tested dose."),
    Column("effect", "response", "", _REAL, "emax − e0; for a flat curve the mean of treated minus vehicle wells."),
    Column("effect_low", "response", "", _REAL, "Lower end of its 95 % interval, between wells of this plate only."),
    Column("effect_high", "response", "", _REAL, "Upper end."),
    Column("p_value", "response", "", _REAL, "Of the Hill curve against a constant, by permuting the wells over doses (999 permutations, so never under 0.001)."),
    Column("q_value", "response", "", _REAL, "Benjamini–Hochberg over the rows of the same phenotype."),
    Column("auc", "response", "", _REAL, "Mean fitted response over the logarithm of the dose range that all lines were given of this compound."),
    Column("residual_sd", "response", "", _REAL, "Standard deviation of the wells about the curve."),
    Column("z_prime", "response", "", _REAL, "Z′ of this phenotype and line on this plate."),
    Column("ssmd", "response", "", _REAL, "SSMD of this phenotype and line on this plate."),
    Column("run_id", "response", "", _TEXT, "Run that made the row."),
    Column("plate_map_digest", "response", "", _TEXT, "SHA-256 of the plate map."),
    Column("protocol_digest", "response", "", _TEXT, "SHA-256 of the protocol."),
    Column("label_version", "response", "", _INT, "Version of the labels that were measured."),
    Column("software_version", "response", "", _TEXT, "Version of this software."),
]  # fmt: skip

COLUMNS: tuple[Column, ...] = tuple(_CELL + _FIELD + _WELL + _QUALITY + _RESPONSE)


def columns(level: Level) -> dict[str, Column]:
    """Columns of one table by name, in order."""
    return {c.name: c for c in COLUMNS if c.level == level}


def phenotype(name: str) -> Column:
    """The well column that a protocol names as phenotype. Raises ValueError listing those there are."""
    column = columns("well").get(name)
    if column is None or column.scale is None:
        known = ", ".join(c.name for c in columns("well").values() if c.scale)
        raise ValueError(f"unknown phenotype {name!r}; known: {known}")
    return column


def empty_table(level: Level) -> pl.DataFrame:
    """The table without rows."""
    return pl.DataFrame(schema={c.name: c.dtype for c in columns(level).values()})


def conform(table: pl.DataFrame, level: Level) -> pl.DataFrame:
    """The table with its columns in the dictionary's order and types; absent ones are null.

    Raises ValueError for a column that the dictionary does not know: every number must have a meaning.
    """
    known = columns(level)
    strange = [name for name in table.columns if name not in known]
    if strange:
        raise ValueError(f"columns without a definition in the {level} table: {', '.join(strange)}")
    return table.select((pl.col(c.name) if c.name in table.columns else pl.lit(None)).cast(c.dtype).alias(c.name) for c in known.values())


def markdown(levels: Iterable[Level] = ("response", "well", "quality", "field", "cell")) -> str:
    """The dictionary as Markdown, one table a level; `docs/columns.md` is this text."""
    parts = [
        "# Columns of the tables\n\nGenerated from `phenotypes/columns.py`; do not edit.\n\n"
        "Means over cells and lengths per neuron are null in wells with fewer than 20 such cells; counts and densities never are.\n"
    ]
    for level in levels:
        parts.append(f"\n## {level.capitalize()} table\n\n| column | unit | type | meaning |\n|---|---|---|---|\n")
        for c in columns(level).values():
            gate = f" Refused above {c.coarsest_pixel_um} µm/px." if c.coarsest_pixel_um else ""
            scale = {"percent": " Phenotype, in % of vehicle.", "difference": " Phenotype, as difference to vehicle."}
            note = scale.get(c.scale or "", "")
            parts.append(f"| `{c.name}` | {c.unit} | {c.dtype} | {c.meaning}{gate}{note} |\n")
    return "".join(parts)
