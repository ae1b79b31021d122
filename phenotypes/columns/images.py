"""Columns of what is read from images: cells, fields, wells."""

from __future__ import annotations

from dataclasses import replace

from phenotypes.columns.column import (
    BEADS_UM,
    BOOL,
    BRANCHING_UM,
    INT,
    INTENSITY_ROLES,
    LENGTH_UM,
    NC_UM,
    PUNCTA_UM,
    REAL,
    RIM_UM,
    SHOLL_UM,
    TEXT,
    WIDTH_UM,
    Better,
    Column,
    Ratio,
    condition,
    per_role,
)


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
        Column(
            f"{name}_{part}", "cell", unit, REAL, meaning.format(what), coarsest_pixel_um=PUNCTA_UM
        )
        for part, unit, meaning in parts
    ]


# Tables of columns, one column per line.
# fmt: off
CELL = [
    Column("well", "cell", "", TEXT, "Well name, such as B03."),
    Column("field", "cell", "", INT, "Field number within the well, from 1."),
    Column("frame", "cell", "", INT, "Time point, from 1; 1 in a fixed end-point assay."),
    Column("label_version", "cell", "", INT, "Version of the labels that it was measured on: 1 as the engine made them, more after a reviewer's corrections."),
    Column("label", "cell", "", INT, "Label of the nucleus in the field's label images; its soma carries the same. In a live assay without DNA stain a cell is a soma."),
    Column("y_um", "cell", "µm", REAL, "Centre of mass of the nucleus (of the soma without DNA stain), from the field's top edge."),
    Column("x_um", "cell", "µm", REAL, "Centre of mass, from the field's left edge."),
    Column("nucleus_confidence", "cell", "", REAL, "Mean probability that the engine gave to the nucleus' pixels; null from engines that give none, and after a correction by a reviewer."),
    Column("touches_border", "cell", "", BOOL, "Whether the field's edge cuts it; areas, shapes and neurites are then left out of well means."),
    Column("track", "cell", "", INT, "Number of the neuron's track in its field; null in a fixed assay, in unusable frames and for cells that are not neurons."),
    Column("conflict", "cell", "", BOOL, "Whether its track split here or merged into another: its identity is not known from here on."),
    Column("is_neuron", "cell", "", BOOL, "Whether the nucleus lies in a neuron-positive soma. Null without a neurite channel."),
    Column("is_pyknotic", "cell", "", BOOL, "Nucleus area < 0.5 and mean DNA intensity > 1.5 of the medians of vehicle nuclei of the same line and plate. Null where the line has no vehicle nuclei."),
    Column("is_motor_neuron", "cell", "", BOOL, "Whether a neuron's nucleus is above the plate's identity threshold. Null without an identity channel or where its threshold was refused."),
    Column("is_mislocalised", "cell", "", BOOL, "Whether nc_log2_aggregate lies below the 5th percentile of neurons in vehicle wells of healthy and isogenic lines. Null where the plate has none."),
    Column("nucleus_area_um2", "cell", "µm²", REAL, "Area of the nucleus."),
    Column("nucleus_major_um", "cell", "µm", REAL, "Major axis of the ellipse with the nucleus's second moments."),
    Column("nucleus_minor_um", "cell", "µm", REAL, "Minor axis of that ellipse."),
    Column("nucleus_eccentricity", "cell", "", REAL, "√(1 − (minor/major)²): 0 for a circle."),
    Column("nucleus_perimeter_um", "cell", "µm", REAL, "Perimeter by the Cauchy–Crofton formula over four directions."),
    Column("nucleus_form_factor", "cell", "", REAL, "4π·area / perimeter²: 1 for a circle."),
    Column("soma_area_um2", "cell", "µm²", REAL, "Area of the soma, nucleus included. Null for a nucleus without soma."),
    Column("soma_form_factor", "cell", "", REAL, "4π·area / perimeter² of the soma: 1 for a circle."),
    *per_role("cell", "soma_mean", "grey level", "Mean {role} intensity above background in the soma."),
    *per_role("cell", "nucleus_mean", "grey level", "{role} intensity above background in the nucleus, corrected for the blur of its edge (partial volume)."),
    *per_role("cell", "nucleus_sum", "grey level", "Summed {role} intensity above background in the whole nucleus."),
    *per_role("cell", "cytoplasm_mean", "grey level", "{role} intensity above background in the cytoplasm, corrected for the blur of its edges (partial volume): around the nucleus up to the protocol's width, inside the soma where there is one. Null where the cytoplasm is too thin for the optics (cytoplasm_too_thin)."),
    *per_role("cell", "nc_log2", "log2", "log2(nucleus_mean / cytoplasm_mean) of {role}. Null where either is not above the noise, or the cytoplasm is too thin for the optics (cytoplasm_too_thin).", coarsest_pixel_um=NC_UM),
    *_spots("puncta", "Puncta of the aggregate channel", "soma"),
    *_spots("granule", "Granules of the granule channel", "cytoplasm"),
    Column("manders_m1", "cell", "", REAL, "Manders' M1: share of the aggregate intensity in the soma that lies in granules. Null without granules.", coarsest_pixel_um=PUNCTA_UM),
    Column("manders_null", "cell", "", REAL, "M1 expected if the soma's pixels were shuffled: the granules' share of its area.", coarsest_pixel_um=PUNCTA_UM),
    Column("manders_z", "cell", "", REAL, "(M1 − null) / standard deviation of M1 under shuffling.", coarsest_pixel_um=PUNCTA_UM),
    Column("rim_log2_envelope", "cell", "log2", REAL, "log2(mean envelope intensity at the nucleus's rim / in its interior).", coarsest_pixel_um=RIM_UM),
    Column("rim_cv_envelope", "cell", "", REAL, "Coefficient of variation of the envelope intensity along the rim: gaps raise it.", coarsest_pixel_um=RIM_UM),
    Column("neurite_length_um", "cell", "µm", REAL, "Length of neurites nearest to this soma along the skeleton. This and the next columns are null for nuclei without soma and in fields with attribution_conflict_fraction above 0.3.", coarsest_pixel_um=BRANCHING_UM),
    Column("primary_neurites", "cell", "", REAL, "Neurites that cross a ring 3 µm from the soma and are at least the protocol's length (10 µm).", coarsest_pixel_um=BRANCHING_UM),
    Column("neurite_tips", "cell", "", REAL, "Free ends of these neurites.", coarsest_pixel_um=BRANCHING_UM),
    Column("branch_points", "cell", "", REAL, "Branch points of these neurites; junctions nearer than the neurite is wide are one.", coarsest_pixel_um=BRANCHING_UM),
    Column("max_process_um", "cell", "µm", REAL, "Longest way along a primary neurite from the soma; 0 without one.", coarsest_pixel_um=BRANCHING_UM),
    Column("mean_process_um", "cell", "µm", REAL, "neurite_length_um / primary_neurites. Null without primary neurite.", coarsest_pixel_um=BRANCHING_UM),
    *[Column(f"sholl_{r}um", "cell", "", REAL, f"Crossings of its neurites with a circle of {r} µm about the soma's centre (Sholl 1953).", coarsest_pixel_um=BRANCHING_UM) for r in SHOLL_UM],
]

FIELD = [
    Column("well", "field", "", TEXT, "Well name."),
    Column("field", "field", "", INT, "Field number within the well."),
    Column("frame", "field", "", INT, "Time point, from 1."),
    Column("label_version", "field", "", INT, "Version of the labels that were measured: 1 as the engine made them, more after a reviewer's corrections."),
    Column("valid", "field", "", BOOL, "Whether the field takes part in its well's numbers."),
    Column("qc", "field", "", TEXT, "What quality control found: why it is not valid, and warnings that do not make it so."),
    Column("area_mm2", "field", "mm²", REAL, "Imaged area."),
    Column("nuclei_count", "field", "", INT, "Nuclei, cut ones and pyknotic ones included."),
    Column("nucleus_confidence", "field", "", REAL, "10th percentile of nucleus_confidence over its nuclei: how sure the engine is of its least sure ones."),
    Column("engine_agreement", "field", "", REAL, "F1 at IoU 0.5 between its nuclei and those of the classical engine, a second opinion. Null where the run's own engine is the classical one."),
    Column("confluence", "field", "", REAL, "Share of the field covered by neurites and somas."),
    Column("clump_fraction", "field", "", REAL, "Share of nuclei that touch another one."),
    Column("debris_fraction", "field", "", REAL, "Area outside nuclei as bright in DNA as half a typical nucleus / area of the nuclei."),
    Column("neurite_length_um", "field", "µm", REAL, "Length of all neurites outside somas.", coarsest_pixel_um=LENGTH_UM),
    Column("neurite_area_um2", "field", "µm²", REAL, "Area of the neurite mask."),
    Column("neurite_unattributed_um", "field", "µm", REAL, "Part of the length that no soma is joined to.", coarsest_pixel_um=BRANCHING_UM),
    Column("attribution_conflict_fraction", "field", "", REAL, "Share of the length in connected pieces that touch two somas or more. Above 0.3 the columns of single neurons are withheld.", coarsest_pixel_um=BRANCHING_UM),
    Column("neurite_branch_points", "field", "", INT, "Branch points of all neurites.", coarsest_pixel_um=BRANCHING_UM),
    Column("neurite_tips", "field", "", INT, "Free ends of all neurites.", coarsest_pixel_um=BRANCHING_UM),
    Column("neurite_straightness", "field", "", REAL, "Chord / path, mean over branches of at least 3 µm weighted by length.", coarsest_pixel_um=LENGTH_UM),
    Column("neurite_width_um", "field", "µm", REAL, "Median over the length of each branch's median width, by distance transform.", coarsest_pixel_um=WIDTH_UM),
    Column("neurite_beads", "field", "", INT, "Swellings shorter than 5 µm, over 1.5 × their branch's median width and 1.5 px wider.", coarsest_pixel_um=BEADS_UM),
    Column("neurite_fragment_um2", "field", "µm²", REAL, "Area of neurite pieces under 50 µm² with circularity of at least 0.2.", coarsest_pixel_um=BRANCHING_UM),
    *per_role("field", "background", "grey level", "Background of the {role} channel that was subtracted."),
    *per_role("field", "saturated", "", "Share of pixels of the {role} channel at its highest value, where that value is held by many."),
    *per_role("field", "focus", "", "Slope of the {role} channel's power spectrum in log-log, noise taken off: about -2 in focus, steeper out of it. Null where too little rises above the noise."),
    *per_role("field", "uneven", "", "Residual of the {role} channel's illumination: spread of its local background after correction / rise of bright structures."),
    Column("height_um", "field", "µm", REAL, "Height of the field."),
    Column("width_um", "field", "µm", REAL, "Width of the field."),
    Column("exposed_h", "field", "h", REAL, "When it was imaged, since the plate's first image. Null where the scan does not record it."),
    Column("time_h", "field", "h", REAL, "Time of the frame since the first: the instrument's where the scan records it, else the time point's number × the protocol's interval. This and the next columns are null in a fixed assay."),
    Column("usable", "field", "", BOOL, "Whether the frame was exposed, in focus and could be placed by registration; other frames are not part of any track."),
    Column("drift_y_um", "field", "µm", REAL, "Downward shift of the field's centre against the first usable frame."),
    Column("drift_x_um", "field", "µm", REAL, "Its shift to the right."),
    Column("turn_deg", "field", "°", REAL, "Turn of the frame about the field's centre against the first usable one, counter-clockwise; 0 where it is not beyond three standard errors."),
    Column("registration_quality", "field", "", REAL, "Of the cells that the frame and the last placed one could both see, the share (of the fewer) found again within 10 µm. Null for the first frame, and for frames without cells to compare."),
    Column("warnings", "field", "", TEXT, "Warnings of segmentation and measurement, separated by semicolons."),
]

WELL = [
    Column("well", "well", "", TEXT, "Well name."),
    Column("status", "well", "", TEXT, "done, failed, skipped, or excluded by quality control; only wells that are done are normalised to or fitted."),
    Column("reason", "well", "", TEXT, "Why a well has no numbers."),
    *condition("well"),
    Column("n_fields", "well", "", INT, "Fields measured."),
    Column("n_valid_fields", "well", "", INT, "Fields that passed quality control; all numbers of the well come from them."),
    Column("label_version", "well", "", INT, "Highest version of the labels among them: 1 as the engine made them."),
    Column("qc", "well", "", TEXT, "What quality control found, in words."),
    Column("area_mm2", "well", "mm²", REAL, "Imaged area of the valid fields."),
    Column("population", "well", "", TEXT, "Cells that live_count and the means describe: motor neurons, neurons or nuclei, as far as the plate's channels tell them apart."),
    Column("nuclei_count", "well", "", INT, "Nuclei, pyknotic ones included."),
    Column("neuron_count", "well", "", INT, "Intact nuclei in neuron-positive somas. Null without a neurite channel."),
    Column("motor_neuron_count", "well", "", INT, "Intact neurons with an identity-positive nucleus. Null where identity is not known."),
    Column("purity", "well", "", REAL, "Motor neurons / neurons. After treatment it is an outcome; only vehicle purity is a covariate.", scale="difference"),
    Column("live_count", "well", "", INT, "Intact cells of the population with a soma of at least the protocol's area. Null where the line has no vehicle nuclei to tell pyknotic ones by."),
    Column("nuclei_density", "well", "1/mm²", REAL, "nuclei_count / area_mm2.", scale="percent"),
    Column("live_density", "well", "1/mm²", REAL, "live_count / area_mm2: wells with unequal valid fields stay comparable.", scale="percent"),
    Column("survival_fixed", "well", "", REAL, "live_density / mean live_density of the vehicle wells of the same line and plate. Dead cells wash off: read it beside pyknotic_fraction."),
    Column("pyknotic_fraction", "well", "", REAL, "Pyknotic / (pyknotic + intact) nuclei. Small bright glial nuclei are its known false positives.", scale="difference"),
    Column("clump_fraction", "well", "", REAL, "Share of nuclei that touch another one (ratio of sums)."),
    Column("nucleus_area_mean", "well", "µm²", REAL, "Mean area of intact nuclei of the population inside the field.", scale="percent"),
    Column("soma_area_mean", "well", "µm²", REAL, "Mean soma area of the population inside the field.", scale="percent"),
    Column("neurite_length_total", "well", "µm", REAL, "Neurite length over all valid fields of the well; wells with unequal fields are compared by neurite_length_density.", coarsest_pixel_um=LENGTH_UM),
    Column("neurite_length_density", "well", "mm/mm²", REAL, "neurite_length_total / area.", scale="percent", coarsest_pixel_um=LENGTH_UM),
    Column("neurite_length_per_neuron", "well", "µm", REAL, "neurite_length_total / neuron_count (ratio of sums). Killing neurons raises it: read it beside neuron_count.", scale="percent", coarsest_pixel_um=LENGTH_UM),
    Column("attribution_conflict_fraction", "well", "", REAL, "Share of the length in pieces that touch two somas or more (ratio of sums).", coarsest_pixel_um=BRANCHING_UM),
    Column("primary_neurites_mean", "well", "", REAL, "Mean primary_neurites per neuron inside the field, of fields without attribution conflict.", scale="percent", coarsest_pixel_um=BRANCHING_UM),
    Column("max_process_mean", "well", "µm", REAL, "Mean max_process_um per neuron, likewise.", scale="percent", coarsest_pixel_um=BRANCHING_UM),
    Column("mean_process_mean", "well", "µm", REAL, "Σ neurite_length_um / Σ primary_neurites of neurons, likewise (ratio of sums).", scale="percent", coarsest_pixel_um=BRANCHING_UM),
    Column("branch_points_per_100um", "well", "1/100 µm", REAL, "Branch points / neurite length × 100 µm (ratio of sums).", scale="percent", coarsest_pixel_um=BRANCHING_UM),
    Column("tips_per_100um", "well", "1/100 µm", REAL, "Free ends / neurite length × 100 µm (ratio of sums).", scale="percent", coarsest_pixel_um=BRANCHING_UM),
    Column("beads_per_100um", "well", "1/100 µm", REAL, "Swellings / neurite length × 100 µm (ratio of sums).", scale="difference", coarsest_pixel_um=BEADS_UM),
    Column("fragmentation_index", "well", "", REAL, "Area of small round neurite pieces / neurite area (ratio of sums).", scale="difference", coarsest_pixel_um=BRANCHING_UM),
    Column("neurite_width_mean", "well", "µm", REAL, "Mean over fields of neurite_width_um, weighted by length.", scale="percent", coarsest_pixel_um=WIDTH_UM),
    Column("straightness_mean", "well", "", REAL, "Mean over fields of neurite_straightness, weighted by length.", scale="difference", coarsest_pixel_um=LENGTH_UM),
    *[Column(f"sholl_{r}um_mean", "well", "", REAL, f"Mean sholl_{r}um per neuron, of fields without attribution conflict.", scale="difference", coarsest_pixel_um=BRANCHING_UM) for r in SHOLL_UM],
    *per_role("well", "nucleus_mean", "grey level", "Mean over cells of the cells' nucleus_mean_{role}.", scale="percent"),
    *per_role("well", "nc_log2", "log2", "Mean over the population of nc_log2_{role}: mean of log ratios.", scale="difference", coarsest_pixel_um=NC_UM),
    Column("mislocalised_fraction", "well", "", REAL, "Share of the population that is mislocalised. Null where the plate has no healthy or isogenic vehicle wells.", scale="difference", coarsest_pixel_um=NC_UM),
    Column("puncta_per_neuron", "well", "", REAL, "Mean puncta_count over the population, zeros included.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("puncta_area_per_neuron", "well", "µm²", REAL, "Mean puncta_area_um2 over the population, zeros included.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("puncta_positive_fraction", "well", "", REAL, "Share of the population with at least one punctum.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("puncta_many_fraction", "well", "", REAL, "Share of the population with at least the protocol's many_puncta.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("granules_per_neuron", "well", "", REAL, "Mean granule_count over the population, zeros included.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("granule_area_fraction", "well", "", REAL, "Mean granule_area_fraction over the population, zeros included.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("granule_positive_fraction", "well", "", REAL, "Share of the population with at least one granule.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("manders_m1_mean", "well", "", REAL, "Mean manders_m1 of cells with granules.", coarsest_pixel_um=PUNCTA_UM),
    Column("manders_excess_mean", "well", "", REAL, "Mean of manders_m1 − manders_null of cells with granules: 0 where the aggregate protein ignores granules.", scale="difference", coarsest_pixel_um=PUNCTA_UM),
    Column("n_tracked", "well", "", INT, "Tracks present and alive in the first frame. Null in a fixed assay."),
    Column("n_deaths", "well", "", INT, "Deaths among them."),
    Column("lost_fraction", "well", "", REAL, "Share of them whose end was not seen before the study's end."),
    Column("rmst_h", "well", "h", REAL, "Restricted mean survival time (Kaplan–Meier) up to the plate's common horizon.", scale="percent"),
    Column("survival_end", "well", "", REAL, "Kaplan–Meier survival at that horizon.", scale="difference"),
    Column("rim_log2_mean", "well", "log2", REAL, "Mean rim_log2_envelope over the population.", scale="difference", coarsest_pixel_um=RIM_UM),
    Column("rim_cv_mean", "well", "", REAL, "Mean rim_cv_envelope over the population.", scale="difference", coarsest_pixel_um=RIM_UM),
]
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
}
# Which direction is healthier. Branches, width and straightness of neurites stay without a direction.
_BETTER: dict[str, Better] = {
    **dict.fromkeys(
        (
            "live_density", "neurite_length_density", "neurite_length_per_neuron", "max_process_mean", "mean_process_mean",
            "nc_log2_aggregate", "rmst_h", "survival_end",
        ),
        "higher",
    ),
    **dict.fromkeys(
        (
            "pyknotic_fraction", "beads_per_100um", "fragmentation_index", "mislocalised_fraction", "puncta_per_neuron",
            "puncta_area_per_neuron", "puncta_positive_fraction", "puncta_many_fraction", "granules_per_neuron",
            "granule_area_fraction", "granule_positive_fraction",
        ),
        "lower",
    ),
}
WELL = [replace(c, ratio=_RATIOS.get(c.name), better=_BETTER.get(c.name)) for c in WELL]
