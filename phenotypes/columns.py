"""Every output column once: name, unit, type, meaning, formula. Tables are checked against it and documentation is made
from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

Level = Literal["cell", "field", "well", "quality", "response", "check", "track", "hazard"]
Scale = Literal["percent", "difference"]
# How a ratio is brought together over cells or fields; in one real vendor export the two differ by 2 %.
Ratio = Literal["ratio_of_sums", "mean_of_ratios"]

# Roles that may carry an intensity; columns named …_{role} stand for one column each.
INTENSITY_ROLES = ("dna", "neurite", "identity", "aggregate", "granule", "envelope", "death")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    `scale` is set on well columns that can be a phenotype of the response table: "percent" of the vehicle mean for
    counts, lengths and areas, "difference" to it for logarithms and fractions, which may be zero or negative.
    `coarsest_pixel_um` is the largest pixel at which the number means anything. `ratio` says of a ratio how it aggregates.
    """

    name: str
    level: Level
    unit: str
    dtype: pl.DataType
    meaning: str
    scale: Scale | None = None
    coarsest_pixel_um: float | None = None
    ratio: Ratio | None = None


_TEXT, _INT, _REAL, _BOOL = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()


def _per_role(
    level: Level, name: str, unit: str, meaning: str, scale: Scale | None = None, coarsest_pixel_um: float | None = None
) -> list[Column]:
    return [Column(f"{name}_{role}", level, unit, _REAL, meaning.format(role=role), scale, coarsest_pixel_um) for role in INTENSITY_ROLES]


def _condition(level: Level, dose: bool = True, control: bool = True) -> list[Column]:
    """What a row speaks of, from the plate map."""
    described = [
        Column("line", level, "", _TEXT, "Cell line, from the plate map."),
        Column("genotype", level, "", _TEXT, "Genotype of the line, from the plate map."),
        Column("compound", level, "", _TEXT, "Compound, from the plate map."),
    ]
    if dose:
        described.append(Column("dose_molar", level, "mol/L", _REAL, "Dose; 0 in vehicle wells."))
    if control:
        described.append(Column("control", level, "", _TEXT, "none, vehicle, positive or negative."))
        described.append(Column("batch", level, "", _TEXT, "Differentiation batch, from the plate map."))
    return described


# The coarsest pixel, in µm, at which a number means anything. Lengths: a neurite still shows. Branching and attribution:
# neighbouring neurites are still two. Ratio: the ring is two pixels wide. Width, puncta, beads, rim: what they measure
# is over a pixel across.
LENGTH_UM, BRANCHING_UM, NC_UM, WIDTH_UM, PUNCTA_UM, BEADS_UM, RIM_UM = 1.5, 1.0, 1.0, 0.7, 0.7, 0.35, 0.2
SHOLL_UM = (10, 20, 30, 40, 50, 75, 100, 150)


def _spots(name: str, what: str, space: str) -> list[Column]:
    parts = (
        ("count", "", "{} in the soma. Null for a nucleus without soma."),
        ("area_um2", "µm²", "Summed area. {} in the soma."),
        ("area_fraction", "", "{}: their share of the " + space + "."),
        ("sum", "grey level", "{}: their summed intensity above the channel's background."),
        ("largest_um2", "µm²", "{}: area of the largest, 0 without one."),
        ("nuclear_count", "", "{} that lie in the nucleus."),
    )
    return [
        Column(f"{name}_{part}", "cell", unit, _REAL, meaning.format(what), coarsest_pixel_um=PUNCTA_UM) for part, unit, meaning in parts
    ]


_CELL = [
    Column("well", "cell", "", _TEXT, "Well name, such as B03."),
    Column("field", "cell", "", _INT, "Field number within the well, from 1."),
    Column("frame", "cell", "", _INT, "Time point, from 1; 1 in a fixed end-point assay."),
    Column("label", "cell", "", _INT, "Label of the nucleus in the field's label images; its soma carries the same. In a live assay without DNA stain a cell is a soma."),
    Column("y_um", "cell", "µm", _REAL, "Centre of mass of the nucleus (of the soma without DNA stain), from the field's top edge."),
    Column("x_um", "cell", "µm", _REAL, "Centre of mass, from the field's left edge."),
    Column("touches_border", "cell", "", _BOOL, "Whether the field's edge cuts it; areas, shapes and neurites are then left out of well means."),
    Column("track", "cell", "", _INT, "Number of the neuron's track in its field; null in a fixed assay, in unusable frames and for cells that are not neurons."),
    Column("conflict", "cell", "", _BOOL, "Whether its track split here or merged into another: from here on its identity is not known."),
    Column("is_neuron", "cell", "", _BOOL, "Whether the nucleus lies in a neuron-positive soma. Null without a neurite channel."),
    Column("is_pyknotic", "cell", "", _BOOL, "Nucleus area < 0.5 and mean DNA intensity > 1.5 of the medians of vehicle nuclei of the same line and plate. Null where the line has no vehicle nuclei."),
    Column("is_motor_neuron", "cell", "", _BOOL, "Whether a neuron's nucleus is above the plate's identity threshold. Null without an identity channel or where its threshold was refused."),
    Column("is_mislocalised", "cell", "", _BOOL, "Whether nc_log2_aggregate lies below the 5th percentile of neurons in vehicle wells of healthy and isogenic lines. Null where the plate has none."),
    Column("nucleus_area_um2", "cell", "µm²", _REAL, "Area of the nucleus."),
    Column("nucleus_major_um", "cell", "µm", _REAL, "Major axis of the ellipse with the nucleus's second moments."),
    Column("nucleus_minor_um", "cell", "µm", _REAL, "Minor axis of that ellipse."),
    Column("nucleus_eccentricity", "cell", "", _REAL, "√(1 − (minor/major)²): 0 for a circle."),
    Column("nucleus_perimeter_um", "cell", "µm", _REAL, "Perimeter by the Cauchy–Crofton formula over four directions."),
    Column("nucleus_form_factor", "cell", "", _REAL, "4π·area / perimeter²: 1 for a circle."),
    Column("soma_area_um2", "cell", "µm²", _REAL, "Area of the soma, nucleus included. Null for a nucleus without soma."),
    Column("soma_form_factor", "cell", "", _REAL, "4π·area / perimeter² of the soma: 1 for a circle."),
    *_per_role("cell", "soma_mean", "grey level", "Mean {role} intensity above background in the soma."),
    *_per_role("cell", "nucleus_mean", "grey level", "Mean {role} intensity above background in the nucleus eroded by 1 px."),
    *_per_role("cell", "nucleus_sum", "grey level", "Summed {role} intensity above background in the whole nucleus."),
    *_per_role("cell", "cytoplasm_mean", "grey level", "Mean {role} intensity above background in a ring from 1 px to the protocol's width outside the nucleus, inside the soma where there is one."),
    *_per_role("cell", "nc_log2", "log2", "log2(nucleus_mean / cytoplasm_mean) of {role}. Null where either is not above the noise.", coarsest_pixel_um=NC_UM),
    *_spots("puncta", "Puncta of the aggregate channel", "soma"),
    *_spots("granule", "Granules of the granule channel", "cytoplasm"),
    Column("manders_m1", "cell", "", _REAL, "Manders' M1: share of the aggregate intensity in the soma that lies in granules. Null without granules.", coarsest_pixel_um=PUNCTA_UM),
    Column("manders_null", "cell", "", _REAL, "M1 expected if the soma's pixels were shuffled: the granules' share of its area.", coarsest_pixel_um=PUNCTA_UM),
    Column("manders_z", "cell", "", _REAL, "(M1 − null) / standard deviation of M1 under shuffling.", coarsest_pixel_um=PUNCTA_UM),
    Column("rim_log2_envelope", "cell", "log2", _REAL, "log2(mean envelope intensity at the nucleus's rim / in its interior).", coarsest_pixel_um=RIM_UM),
    Column("rim_cv_envelope", "cell", "", _REAL, "Coefficient of variation of the envelope intensity along the rim: gaps raise it.", coarsest_pixel_um=RIM_UM),
    Column("neurite_length_um", "cell", "µm", _REAL, "Length of neurites nearest to this soma along the skeleton. This and the next columns are null for nuclei without soma and in fields with attribution_conflict_fraction above 0.3.", coarsest_pixel_um=BRANCHING_UM),
    Column("primary_neurites", "cell", "", _REAL, "Neurites that cross a ring 3 µm from the soma and are at least the protocol's length (10 µm).", coarsest_pixel_um=BRANCHING_UM),
    Column("neurite_tips", "cell", "", _REAL, "Free ends of these neurites.", coarsest_pixel_um=BRANCHING_UM),
    Column("branch_points", "cell", "", _REAL, "Branch points of these neurites; junctions nearer than the neurite is wide are one.", coarsest_pixel_um=BRANCHING_UM),
    Column("max_process_um", "cell", "µm", _REAL, "Longest way along a primary neurite from the soma; 0 without one.", coarsest_pixel_um=BRANCHING_UM),
    Column("mean_process_um", "cell", "µm", _REAL, "neurite_length_um / primary_neurites. Null without primary neurite.", coarsest_pixel_um=BRANCHING_UM),
    *[Column(f"sholl_{r}um", "cell", "", _REAL, f"Crossings of its neurites with a circle of {r} µm about the soma's centre (Sholl 1953).", coarsest_pixel_um=BRANCHING_UM) for r in SHOLL_UM],
]  # fmt: skip

_FIELD = [
    Column("well", "field", "", _TEXT, "Well name."),
    Column("field", "field", "", _INT, "Field number within the well."),
    Column("frame", "field", "", _INT, "Time point, from 1."),
    Column("valid", "field", "", _BOOL, "Whether the field takes part in its well's numbers."),
    Column("qc", "field", "", _TEXT, "What quality control found: why it is not valid, and warnings that do not make it so."),
    Column("area_mm2", "field", "mm²", _REAL, "Imaged area."),
    Column("nuclei_count", "field", "", _INT, "Nuclei, cut ones and pyknotic ones included."),
    Column("confluence", "field", "", _REAL, "Share of the field covered by neurites and somas."),
    Column("clump_fraction", "field", "", _REAL, "Share of nuclei that touch another one."),
    Column("debris_fraction", "field", "", _REAL, "Area outside nuclei as bright in DNA as half a typical nucleus / area of the nuclei."),
    Column("neurite_length_um", "field", "µm", _REAL, "Length of all neurites outside somas.", coarsest_pixel_um=LENGTH_UM),
    Column("neurite_area_um2", "field", "µm²", _REAL, "Area of the neurite mask."),
    Column("neurite_unattributed_um", "field", "µm", _REAL, "Part of the length that no soma is joined to.", coarsest_pixel_um=BRANCHING_UM),
    Column("attribution_conflict_fraction", "field", "", _REAL, "Share of the length in connected pieces that touch two somas or more. Above 0.3 what is said of single neurons is withheld.", coarsest_pixel_um=BRANCHING_UM),
    Column("neurite_branch_points", "field", "", _INT, "Branch points of all neurites.", coarsest_pixel_um=BRANCHING_UM),
    Column("neurite_tips", "field", "", _INT, "Free ends of all neurites.", coarsest_pixel_um=BRANCHING_UM),
    Column("neurite_straightness", "field", "", _REAL, "Chord / path, mean over branches of at least 3 µm weighted by length.", coarsest_pixel_um=LENGTH_UM),
    Column("neurite_width_um", "field", "µm", _REAL, "Median over the length of each branch's median width, by distance transform.", coarsest_pixel_um=WIDTH_UM),
    Column("neurite_beads", "field", "", _INT, "Swellings shorter than 5 µm, over 1.5 × their branch's median width and 1.5 px wider.", coarsest_pixel_um=BEADS_UM),
    Column("neurite_fragment_um2", "field", "µm²", _REAL, "Area of neurite pieces under 50 µm² with circularity of at least 0.2.", coarsest_pixel_um=BRANCHING_UM),
    *_per_role("field", "background", "grey level", "Background of the {role} channel that was subtracted."),
    *_per_role("field", "saturated", "", "Share of pixels of the {role} channel at its highest value, where that value is held by many."),
    *_per_role("field", "focus", "", "Slope of the {role} channel's power spectrum in log-log, noise taken off: about -2 in focus, steeper out of it. Null where too little rises above the noise."),
    *_per_role("field", "uneven", "", "Residual of the {role} channel's illumination: spread of its local background after correction / rise of bright structures."),
    Column("height_um", "field", "µm", _REAL, "Height of the field."),
    Column("width_um", "field", "µm", _REAL, "Width of the field."),
    Column("exposed_h", "field", "h", _REAL, "When it was imaged, since the plate's first image. Null where the scan does not say."),
    Column("time_h", "field", "h", _REAL, "Time of the frame since the first. This and the next columns are null in a fixed assay."),
    Column("usable", "field", "", _BOOL, "Whether the frame was exposed, in focus and could be placed by registration; others are no part of any track."),
    Column("drift_y_um", "field", "µm", _REAL, "Downward shift of the frame against the first one."),
    Column("drift_x_um", "field", "µm", _REAL, "Shift to the right."),
    Column("warnings", "field", "", _TEXT, "What segmentation or measurement had to say, separated by semicolons."),
]  # fmt: skip

_WELL = [
    Column("well", "well", "", _TEXT, "Well name."),
    Column("status", "well", "", _TEXT, "done, failed, skipped, or excluded by quality control; only wells that are done are normalised to or fitted."),
    Column("reason", "well", "", _TEXT, "Why a well has no numbers."),
    *_condition("well"),
    Column("n_fields", "well", "", _INT, "Fields measured."),
    Column("n_valid_fields", "well", "", _INT, "Fields that passed quality control; all numbers of the well are theirs."),
    Column("qc", "well", "", _TEXT, "What quality control found, in words."),
    Column("area_mm2", "well", "mm²", _REAL, "Imaged area of the valid fields."),
    Column("population", "well", "", _TEXT, "Whom live_count and the means speak of: motor neurons, neurons or nuclei, as far as the plate's channels tell them apart."),
    Column("nuclei_count", "well", "", _INT, "Nuclei, pyknotic ones included."),
    Column("neuron_count", "well", "", _INT, "Intact nuclei in neuron-positive somas. Null without a neurite channel."),
    Column("motor_neuron_count", "well", "", _INT, "Intact neurons with an identity-positive nucleus. Null where identity is not known."),
    Column("purity", "well", "", _REAL, "Motor neurons / neurons. After treatment it is an outcome; only vehicle purity is a covariate.", scale="difference"),
    Column("live_count", "well", "", _INT, "Intact cells of the population with a soma of at least the protocol's area. Null where the line has no vehicle nuclei to tell pyknotic ones by."),
    Column("nuclei_density", "well", "1/mm²", _REAL, "nuclei_count / area_mm2.", scale="percent"),
    Column("live_density", "well", "1/mm²", _REAL, "live_count / area_mm2: wells with unequal valid fields stay comparable.", scale="percent"),
    Column("survival_fixed", "well", "", _REAL, "live_density / mean live_density of the vehicle wells of the same line and plate. Dead cells wash off: read it beside pyknotic_fraction."),
    Column("pyknotic_fraction", "well", "", _REAL, "Pyknotic / (pyknotic + intact) nuclei. Small bright glial nuclei are its known false positives.", scale="difference"),
    Column("clump_fraction", "well", "", _REAL, "Share of nuclei that touch another one (ratio of sums)."),
    Column("nucleus_area_mean", "well", "µm²", _REAL, "Mean area of intact nuclei of the population inside the field.", scale="percent"),
    Column("soma_area_mean", "well", "µm²", _REAL, "Mean soma area of the population inside the field.", scale="percent"),
    Column("neurite_length_total", "well", "µm", _REAL, "Neurite length over all valid fields of the well; wells with unequal fields are compared by neurite_length_density.", coarsest_pixel_um=LENGTH_UM),
    Column("neurite_length_density", "well", "mm/mm²", _REAL, "neurite_length_total / area.", scale="percent", coarsest_pixel_um=LENGTH_UM),
    Column("neurite_length_per_neuron", "well", "µm", _REAL, "neurite_length_total / neuron_count (ratio of sums). Killing neurons raises it: read it beside neuron_count.", scale="percent", coarsest_pixel_um=LENGTH_UM),
    Column("attribution_conflict_fraction", "well", "", _REAL, "Share of the length in pieces that touch two somas or more (ratio of sums).", coarsest_pixel_um=BRANCHING_UM),
    Column("primary_neurites_mean", "well", "", _REAL, "Mean primary_neurites a neuron inside the field, of fields without attribution conflict.", scale="percent", coarsest_pixel_um=BRANCHING_UM),
    Column("max_process_mean", "well", "µm", _REAL, "Mean max_process_um a neuron, likewise.", scale="percent", coarsest_pixel_um=BRANCHING_UM),
    Column("mean_process_mean", "well", "µm", _REAL, "Σ neurite_length_um / Σ primary_neurites of neurons, likewise (ratio of sums).", scale="percent", coarsest_pixel_um=BRANCHING_UM),
    Column("branch_points_per_100um", "well", "1/100 µm", _REAL, "Branch points / neurite length × 100 µm (ratio of sums).", scale="percent", coarsest_pixel_um=BRANCHING_UM),
    Column("tips_per_100um", "well", "1/100 µm", _REAL, "Free ends / neurite length × 100 µm (ratio of sums).", scale="percent", coarsest_pixel_um=BRANCHING_UM),
    Column("beads_per_100um", "well", "1/100 µm", _REAL, "Swellings / neurite length × 100 µm (ratio of sums).", scale="difference", coarsest_pixel_um=BEADS_UM),
    Column("fragmentation_index", "well", "", _REAL, "Area of small round neurite pieces / neurite area (ratio of sums).", scale="difference", coarsest_pixel_um=BRANCHING_UM),
    Column("neurite_width_mean", "well", "µm", _REAL, "Mean over fields of neurite_width_um, weighted by length.", scale="percent", coarsest_pixel_um=WIDTH_UM),
    Column("straightness_mean", "well", "", _REAL, "Mean over fields of neurite_straightness, weighted by length.", scale="difference", coarsest_pixel_um=LENGTH_UM),
    *[Column(f"sholl_{r}um_mean", "well", "", _REAL, f"Mean sholl_{r}um a neuron, of fields without attribution conflict.", scale="difference", coarsest_pixel_um=BRANCHING_UM) for r in SHOLL_UM],
    *_per_role("well", "nucleus_mean", "grey level", "Mean over cells of the cells' nucleus_mean_{role}.", scale="percent"),
    *_per_role("well", "nc_log2", "log2", "Mean over the population of nc_log2_{role}: mean of log ratios.", scale="difference", coarsest_pixel_um=NC_UM),
    Column("mislocalised_fraction", "well", "", _REAL, "Share of the population that is mislocalised. Null where the plate has no healthy or isogenic vehicle wells.", scale="difference", coarsest_pixel_um=NC_UM),
    Column("puncta_per_neuron", "well", "", _REAL, "Mean puncta_count over the population, zeros included.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("puncta_area_per_neuron", "well", "µm²", _REAL, "Mean puncta_area_um2 over the population, zeros included.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("puncta_positive_fraction", "well", "", _REAL, "Share of the population with at least one punctum.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("puncta_many_fraction", "well", "", _REAL, "Share of the population with at least the protocol's many_puncta.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("granules_per_neuron", "well", "", _REAL, "Mean granule_count over the population, zeros included.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("granule_area_fraction", "well", "", _REAL, "Mean granule_area_fraction over the population, zeros included.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("granule_positive_fraction", "well", "", _REAL, "Share of the population with at least one granule.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("manders_m1_mean", "well", "", _REAL, "Mean manders_m1 of cells with granules.", coarsest_pixel_um=PUNCTA_UM),
    Column("manders_excess_mean", "well", "", _REAL, "Mean of manders_m1 − manders_null of cells with granules: 0 where the aggregate protein ignores granules.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("n_tracked", "well", "", _INT, "Tracks present and alive in the first frame. Null in a fixed assay."),
    Column("n_deaths", "well", "", _INT, "Deaths among them."),
    Column("lost_fraction", "well", "", _REAL, "Share of them whose end was not seen before the study's end."),
    Column("rmst_h", "well", "h", _REAL, "Restricted mean survival time (Kaplan–Meier) up to the plate's common horizon.", scale="percent"),
    Column("survival_end", "well", "", _REAL, "Kaplan–Meier survival at that horizon.", scale="difference"),
    Column("rim_log2_mean", "well", "log2", _REAL, "Mean rim_log2_envelope over the population.", scale="difference", coarsest_pixel_um=RIM_UM),
    Column("rim_cv_mean", "well", "", _REAL, "Mean rim_cv_envelope over the population.", scale="difference", coarsest_pixel_um=RIM_UM),
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
    *_condition("response", dose=False, control=False),
    Column("phenotype", "response", "", _TEXT, "Well column that responds."),
    Column("population", "response", "", _TEXT, "Whom counts and means speak of: motor neurons, neurons or nuclei."),
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

_CHECK = [
    Column("check", "check", "", _TEXT, "edge_effect, row_trend, column_trend, acquisition_drift, autofluorescence, identity, mislocalisation."),
    Column("subject", "check", "", _TEXT, "Phenotype, or compound and channel."),
    Column("status", "check", "", _TEXT, "ok, warning or not_assessable."),
    Column("reason", "check", "", _TEXT, "The finding in words."),
    Column("value", "check", "", _REAL, "Edge: ratio of medians; trends and drift: rank correlation; autofluorescence: robust z; identity: threshold in grey levels."),
    Column("p_value", "check", "", _REAL, "Mann–Whitney for the edge, Spearman for trends and drift; a warning under 0.01."),
    Column("n_wells", "check", "", _INT, "Wells it was read from."),
]  # fmt: skip

_TRACK = [
    Column("well", "track", "", _TEXT, "Well name."),
    Column("field", "track", "", _INT, "Field number within the well."),
    Column("track", "track", "", _INT, "Number of the track in its field, from 1."),
    *_condition("track"),
    Column("first_frame", "track", "", _INT, "First frame it was seen in."),
    Column("last_frame", "track", "", _INT, "Last frame it was seen in."),
    Column("y_um", "track", "µm", _REAL, "Where it began, in the first frame's place."),
    Column("x_um", "track", "µm", _REAL, "Where it began."),
    Column("entry_h", "track", "h", _REAL, "Start of its time at risk: the first usable frame."),
    Column("exit_h", "track", "h", _REAL, "Death, or the last time it was known to live."),
    Column("event", "track", "", _BOOL, "Whether it was seen to die, by the protocol's definition."),
    Column("reason", "track", "", _TEXT, "Of an end without death: end_of_study, lost, left_field, identity_conflict, focus_failure."),
    Column("included", "track", "", _BOOL, "Whether it was present and alive in the first usable frame; only these are analysed."),
    Column("excluded_reason", "track", "", _TEXT, "Why not."),
    Column("study_end_h", "track", "h", _REAL, "Last usable frame of its field."),
]  # fmt: skip

_HAZARD = [
    *_condition("hazard", control=False),
    Column("status", "hazard", "", _TEXT, "ok, informative_censoring, too_few_tracks, too_few_events, too_few_wells, not_converged."),
    Column("reason", "hazard", "", _TEXT, "The status in words."),
    Column("hazard_ratio", "hazard", "", _REAL, "Of death against vehicle wells of the same line: Cox, Efron ties, stratified by batch."),
    Column("hr_low", "hazard", "", _REAL, "Lower end of its 95 % interval, between wells."),
    Column("hr_high", "hazard", "", _REAL, "Upper end."),
    Column("p_value", "hazard", "", _REAL, "Wald test, variance clustered by well, Student's t with wells − 2 degrees of freedom."),
    Column("schoenfeld_p", "hazard", "", _REAL, "Test of proportional hazards; under 0.01 the ratio is an average over time."),
    Column("hr_lost_died", "hazard", "", _REAL, "Ratio if all lost tracks had died when last seen; given where the arms lose unequally."),
    Column("hr_lost_lived", "hazard", "", _REAL, "Ratio if all lost tracks had lived to the end."),
    Column("rmst_vehicle_h", "hazard", "h", _REAL, "Restricted mean survival time of vehicle up to horizon_h."),
    Column("rmst_treated_h", "hazard", "h", _REAL, "Of the treated."),
    Column("rmst_difference_h", "hazard", "h", _REAL, "Treated − vehicle."),
    Column("rmst_difference_low", "hazard", "h", _REAL, "Lower end of its 95 % interval."),
    Column("rmst_difference_high", "hazard", "h", _REAL, "Upper end."),
    Column("horizon_h", "hazard", "h", _REAL, "Until when survival is compared: the earliest end of any field's study."),
    *[Column(f"{name}_{arm}", "hazard", "", dtype, meaning.format(arm)) for name, dtype, meaning in (("n_tracks", _INT, "Included tracks, {} wells."), ("n_events", _INT, "Deaths, {} wells."), ("n_wells", _INT, "Number of {} wells."), ("lost_fraction", _REAL, "Share of tracks whose end was not seen before the study's, {} wells.")) for arm in ("vehicle", "treated")],
    Column("q_value", "hazard", "", _REAL, "Benjamini–Hochberg over the plate's ratios."),
]  # fmt: skip

# Every well column that is a ratio, with how it aggregates.
_RATIOS: dict[str, Ratio] = {
    **dict.fromkeys(
        (
            "purity", "nuclei_density", "live_density", "survival_fixed", "pyknotic_fraction", "clump_fraction", "neurite_length_density",
            "neurite_length_per_neuron", "attribution_conflict_fraction", "mean_process_mean", "branch_points_per_100um", "tips_per_100um",
            "beads_per_100um", "fragmentation_index", "mislocalised_fraction", "puncta_positive_fraction", "puncta_many_fraction",
            "granule_positive_fraction", "lost_fraction", "puncta_per_neuron", "puncta_area_per_neuron", "granules_per_neuron",
        ),
        "ratio_of_sums",
    ),
    **dict.fromkeys(("granule_area_fraction", "manders_m1_mean", "manders_excess_mean", "rim_log2_mean", "straightness_mean"), "mean_of_ratios"),
    **{f"nc_log2_{role}": "mean_of_ratios" for role in INTENSITY_ROLES},
}  # fmt: skip
_WELL = [replace(c, ratio=_RATIOS.get(c.name)) for c in _WELL]

COLUMNS: tuple[Column, ...] = tuple(_CELL + _FIELD + _WELL + _QUALITY + _RESPONSE + _CHECK + _TRACK + _HAZARD)


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


def markdown(levels: Iterable[Level] = ("response", "hazard", "well", "quality", "check", "field", "cell", "track")) -> str:
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
            ratio = f" ({c.ratio.replace('_', ' ')})" if c.ratio else ""
            note = ratio + scale.get(c.scale or "", "")
            parts.append(f"| `{c.name}` | {c.unit} | {c.dtype} | {c.meaning}{gate}{note} |\n")
    return "".join(parts)
