"""Columns of a screen: what many plates, batches and lines show together."""

from __future__ import annotations

from phenotypes.columns.column import BOOL, INT, REAL, TEXT, Column, Level

# Tables of columns, one column per line.
# fmt: off
_SCALE = "log2 ratio to vehicle of the same line and plate for counts, lengths and areas, difference to it for logarithms and fractions"


def _interval(level: Level, name: str, unit: str, meaning: str) -> list[Column]:
    return [
        Column(name, level, unit, REAL, meaning),
        Column(f"{name}_low", level, unit, REAL, "Lower end of its 95 % interval."),
        Column(f"{name}_high", level, unit, REAL, "Upper end."),
    ]


def _subject(level: Level) -> list[Column]:
    return [
        Column("line", level, "", TEXT, "Cell line."),
        Column("genotype", level, "", TEXT, "Its genotype, from the plate maps."),
        Column("donor", level, "", TEXT, "Code of the person, from the registry; the line's own name without one."),
        Column("compound", level, "", TEXT, "Compound."),
        Column("phenotype", level, "", TEXT, "Well column that responds."),
    ]


def _counts(level: Level) -> list[Column]:
    return [
        Column("n_cells", level, "", INT, "Cells in the wells used; they add no degrees of freedom."),
        Column("n_wells", level, "", INT, "Wells; they add none either."),
        Column("n_plates", level, "", INT, "Plates; they add none either."),
        Column("n_batches", level, "", INT, "Differentiation batches, counted per lab: n within a line."),
        Column("n_donors", level, "", INT, "Donors: n across lines."),
    ]


def _moderated(level: Level, statuses: str) -> list[Column]:
    return [
        Column("moderation_status", level, "", TEXT, f"Of the moderated test: {statuses}."),
        Column("moderated_low", level, "", REAL, "Lower end of the effect's 95 % interval with the variance borrowed over rows."),
        Column("moderated_high", level, "", REAL, "Upper end."),
        Column("moderated_p_value", level, "", REAL, "Moderated t (Smyth 2004) of the same effect."),
    ]


SCREEN = [
    *_subject("screen"),
    Column("unit", "screen", "", TEXT, f"Unit of effect, effect_floor and interaction: {_SCALE}."),
    Column("response_unit", "screen", "", TEXT, "Unit of e0, emax and auc: % of vehicle, or a difference to it."),
    Column("status", "screen", "", TEXT, "Of the effect: ok, one_batch, no_variation, not_measured, no_vehicle, vehicle_is_zero, too_few_vehicles, no_common_dose, confounded_with_position."),
    Column("reason", "screen", "", TEXT, "The status in words, with all else that a reader must know."),
    *_counts("screen"),
    Column("n_curve_wells", "screen", "", INT, "Treated wells at all doses, which the curve is fitted to."),
    Column("n_curve_batches", "screen", "", INT, "Batches that the curve goes through; the counts above are of the effect's dose."),
    Column("effect_dose_molar", "screen", "mol/L", REAL, "Dose at which `effect` is read: the highest that all lines were given of the compound, or the screen's own choice."),
    *_interval("screen", "effect", "", "Mean over batches at that dose, without a curve; Student's t between batches."),
    Column("p_value", "screen", "", REAL, "Of no effect, batches as n. Null with one batch."),
    Column("q_value", "screen", "", REAL, "Benjamini–Hochberg over the screen's rows of the same phenotype."),
    *_moderated("screen", "ok, too_few_rows (under 10 of the phenotype at this rung of the ladder), not_tested"),
    Column("moderated_q_value", "screen", "", REAL, "Benjamini–Hochberg of the moderated p over the screen's rows of the same phenotype."),
    Column("moderated_freedom", "screen", "", REAL, "Degrees of freedom of the moderated t."),
    Column("prior_freedom", "screen", "", REAL, "What the common variance is worth in degrees of freedom; infinite where rows differ no more than by chance."),
    Column("prior_sd", "screen", "", REAL, "Standard deviation between batches that the rows have in common."),
    Column("n_doses", "screen", "", INT, "Doses with a test."),
    Column("best_dose_molar", "screen", "mol/L", REAL, "Best supported dose: that with the least p."),
    Column("best_effect", "screen", "", REAL, "Effect at it."),
    Column("best_effect_low", "screen", "", REAL, "Lower end of an interval that holds for all doses at once (95 %)."),
    Column("best_effect_high", "screen", "", REAL, "Upper end."),
    Column("best_p_value", "screen", "", REAL, "Of no effect at any dose: the least p, moderated where all doses are, among as many as there are doses (Šidák)."),
    Column("best_q_value", "screen", "", REAL, "Benjamini–Hochberg over the screen's rows of the same phenotype."),
    Column("effect_floor", "screen", "", REAL, "Size below which an effect is not a hit: log2 1.2, or the median SD of vehicle wells for differences, or the screen's own choice. Null, and no hit, where vehicle wells do not vary."),
    Column("same_direction", "screen", "", INT, "Batches whose effect has the sign of the mean."),
    Column("hit", "screen", "", BOOL, "At the best supported dose: best_q_value ≤ 0.05, effect at least the floor, the same direction in two batches or more. Null where not testable."),
    Column("curve_status", "screen", "", TEXT, "ok, flat, below_tested_range, above_tested_range, not_determined, not_monotone, lack_of_fit, batches_disagree, confounded_with_position, too_few_vehicles, too_few_doses, no_value."),
    Column("curve_reason", "screen", "", TEXT, "The status in words."),
    Column("curve_p_value", "screen", "", REAL, "Of no response to the dose, batches as n: the larger of the row's own (doses among themselves, and their mean distance from vehicle between batches) and the screen's (contrasts of doses, their variance between batches borrowed over rows)."),
    Column("curve_q_value", "screen", "", REAL, "Benjamini–Hochberg of curve_p_value over the screen's rows of the same phenotype."),
    Column("direction", "screen", "", TEXT, "ascending or descending."),
    Column("model", "screen", "", TEXT, "hill4, constant, or means where no curve fits."),
    *_interval("screen", "ec50_molar", "mol/L", "Dose of the half-maximal effect (relative EC50), one curve through the batches' means, each batch with its own level."),
    Column("ec50_absolute_molar", "screen", "mol/L", REAL, "Dose at which the fitted curve falls to 50 % of vehicle; null if it does not, or for differences."),
    Column("hill", "screen", "", REAL, "Hill slope, > 0 in both directions."),
    Column("e0", "screen", "", REAL, "Fitted response without compound; the mean of vehicle where no curve fits."),
    Column("emax", "screen", "", REAL, "Fitted response at the highest tested dose; the mean over batches there where no curve fits."),
    Column("auc", "screen", "", REAL, "Mean fitted response over the logarithm of the dose range that all lines were given."),
    Column("isogenic", "screen", "", TEXT, "The line's isogenic partner on the same plates, from the registry."),
    Column("window_status", "screen", "", TEXT, "expressed, not_expressed, no_variation, too_few_batches, no_pair."),
    *_interval("screen", "window", "", "Isogenic vehicle − disease vehicle on the effect's scale, batches as n."),
    Column("rescue_status", "screen", "", TEXT, "ok, not_expressed, no_variation, unbounded, too_few_batches, no_pair, confounded_with_position."),
    Column("rescue_reason", "screen", "", TEXT, "The status in words, with flags: trophic or unspecific, overshoot, lost cells, and what was not assessed."),
    Column("rescue_dose_molar", "screen", "mol/L", REAL, "Dose of the rescue: the screen's own choice, or the one that moves the line most towards its control, among doses that lose at most 20 % of live cells. Intervals of rescue and interaction hold for all doses that were looked at."),
    *_interval("screen", "rescue", "", "ρ = effect on the disease line / window: 0 no rescue, 1 the isogenic state (Fieller's interval)."),
    *_interval("screen", "interaction", "", "Effect on the disease line less that on the isogenic line."),
    Column("responder", "screen", "", TEXT, "responder, non_responder, indeterminate, phenotype_absent; null where the good direction is not known."),
    Column("responder_probability", "screen", "", REAL, "P(effect in the good direction > effect_floor)."),
    Column("z_prime", "screen", "", REAL, "Median Z′ over the plates of this line."),
    Column("ssmd", "screen", "", REAL, "Median SSMD of the controls over these plates."),
    Column("run_ids", "screen", "", TEXT, "Runs that the row stands on, separated by spaces."),
    Column("plate_map_digests", "screen", "", TEXT, "SHA-256 of their plate maps, in the same order."),
    Column("protocol_digests", "screen", "", TEXT, "SHA-256 of their protocols; more than one means that assays are pooled."),
    Column("label_version", "screen", "", INT, "Version of the labels."),
    Column("software_version", "screen", "", TEXT, "Version of the software that fitted the row."),
]

DOSE = [
    *_subject("dose"),
    Column("dose_molar", "dose", "mol/L", REAL, "Dose."),
    Column("control", "dose", "", TEXT, "none, positive or negative."),
    Column("status", "dose", "", TEXT, "ok, one_batch or no_variation."),
    Column("reason", "dose", "", TEXT, "The status in words."),
    *_counts("dose"),
    *_interval("dose", "effect", "", f"Mean over batches; {_SCALE}."),
    Column("p_value", "dose", "", REAL, "Of no effect, batches as n. Null with one batch."),
    *_moderated("dose", "ok, too_few_rows, not_tested"),
    Column("p_over_doses", "dose", "", REAL, "Among all doses of this row (Šidák); of the moderated p where all doses have one."),
    Column("same_direction", "dose", "", INT, "Batches whose effect has the sign of the mean."),
]

COMPOUND = [
    Column("compound", "compound", "", TEXT, "Compound."),
    Column("phenotype", "compound", "", TEXT, "Well column that responds."),
    Column("group", "compound", "", TEXT, "Donors that are combined: all disease lines, healthy lines, or the disease lines of one gene. Lines of unknown health are a group without numbers."),
    Column("status", "compound", "", TEXT, "ok, no_variation, too_few_donors, health_unknown, no_common_dose, confounded_with_position."),
    Column("reason", "compound", "", TEXT, "The status in words; confounding by name."),
    Column("effect_dose_molar", "compound", "mol/L", REAL, "Dose of the effects that are combined."),
    Column("n_lines", "compound", "", INT, "Lines with two batches or more."),
    Column("n_donors", "compound", "", INT, "Their donors: n."),
    Column("n_batches", "compound", "", INT, "Batches over these lines."),
    *_interval("compound", "effect", "", "Mean over donors; donors crossed with the batches that they share, or REML with Hartung and Knapp's interval where every donor has batches of its own."),
    Column("freedom", "compound", "", REAL, "Degrees of freedom of its t (Satterthwaite's where batches are shared; 1 where two shared batches decide)."),
    Column("limited_by", "compound", "", TEXT, "What most of its variance comes from, and more of which would help most: donors or batches."),
    Column("p_value", "compound", "", REAL, "Of no effect on average over donors."),
    Column("q_value", "compound", "", REAL, "Benjamini–Hochberg over compounds of the same phenotype and group."),
    *_moderated("compound", "ok, too_few_rows (under 10 compounds), batches_not_shared, not_tested"),
    Column("moderated_q_value", "compound", "", REAL, "Benjamini–Hochberg of the moderated p."),
    Column("predicted_low", "compound", "", REAL, "Where the next donor's effect is expected, lower end of 95 %. Null where lines and batches are confounded."),
    Column("predicted_high", "compound", "", REAL, "Upper end."),
    Column("tau2", "compound", "", REAL, "Variance between donors. Null where lines and batches are confounded: it may come from the batches."),
    Column("i2", "compound", "", REAL, "Share of the variance that lies between donors."),
    Column("heterogeneity_p", "compound", "", REAL, "F test of donors being alike within batches. Null where no batch holds two donors."),
    Column("method", "compound", "", TEXT, "crossed (donors × shared batches), or how the variance between donors with batches of their own was estimated: REML, DerSimonian–Laird."),
    Column("stable", "compound", "", BOOL, "Whether the sign stays and p stays under 0.05 whichever batch is left out; of the moderated p where there is one. Null where p is not under 0.05."),
    *_interval("compound", "mixed_effect", "", "Secondary: mixed model over batch means with donor and batch as crossed random effects."),
    Column("mixed_status", "compound", "", TEXT, "ok, too_few_donors, collapsed, not_converged. Null where the primary analysis finds nothing to confirm."),
    Column("association_status", "compound", "", TEXT, "Does the effect differ between genes? ok, homogeneous, too_few_donors, confounded_with_batch."),
    Column("association_p", "compound", "", REAL, "Permutation test over donors of the genes' difference; only where donors are not alike."),
]

WINDOW = [
    Column("line", "window", "", TEXT, "Disease line."),
    Column("isogenic", "window", "", TEXT, "Its isogenic partner."),
    Column("phenotype", "window", "", TEXT, "Well column."),
    Column("batch", "window", "", TEXT, "Differentiation batch, with its lab; empty for all batches together."),
    Column("status", "window", "", TEXT, "expressed, not_expressed, no_variation, too_few_wells, too_few_batches."),
    Column("reason", "window", "", TEXT, "The status in words."),
    Column("n_wells", "window", "", INT, "Vehicle wells of both lines."),
    Column("n_batches", "window", "", INT, "Batches."),
    *_interval("window", "ssmd", "", "SSMD of isogenic against disease vehicle wells of one batch, plates averaged."),
    *_interval("window", "gap", "", "Isogenic vehicle − disease vehicle on the effect's scale; with all batches together the interval is between batches."),
]

POTENCY = [
    Column("line", "potency", "", TEXT, "Line."),
    Column("reference", "potency", "", TEXT, "Line that it is compared with: its isogenic control, or the one that was named."),
    Column("compound", "potency", "", TEXT, "Compound."),
    Column("phenotype", "potency", "", TEXT, "Well column that responds."),
    Column("status", "potency", "", TEXT, "ok, slopes_differ, one_batch, no_curve, directions_differ, not_determined, too_few_batches."),
    Column("reason", "potency", "", TEXT, "The status in words."),
    Column("n_batches", "potency", "", INT, "Batches that hold both lines: n."),
    *_interval("potency", "ratio", "", "EC50 of the line over that of its reference; over 1 the line needs more. One slope for both, an EC50 of its own for each batch; Student's t between batches."),
    Column("p_value", "potency", "", REAL, "Of both needing the same dose. Null with one batch."),
    Column("q_value", "potency", "", REAL, "Benjamini–Hochberg over the pairs and compounds of the same phenotype."),
    Column("hill", "potency", "", REAL, "The slope of both; null where slopes differ."),
    Column("slope_p", "potency", "", REAL, "F test of the slopes being one. Under 0.05 the ratio is that of half of the effect only."),
]

VEHICLE = [
    Column("line", "vehicle", "", TEXT, "Line."),
    Column("phenotype", "vehicle", "", TEXT, "Well column."),
    Column("batch", "vehicle", "", TEXT, "Differentiation batch, with its lab."),
    Column("n_wells", "vehicle", "", INT, "Vehicle wells."),
    Column("status", "vehicle", "", TEXT, "ok, odd, too_few_compounds (under 6)."),
    Column("n_compounds", "vehicle", "", INT, "Compounds of the line in this batch."),
    *_interval("vehicle", "shift", "", "Mean effect of these compounds, each at its lowest dose; Student's t from the scatter of compounds and of the vehicle wells that they share. Odd where it differs from 0 over all rows of the phenotype (Bonferroni) and by more than compounds scatter: then the vehicle, not the compounds, is off."),
    Column("level", "vehicle", "", REAL, "Mean of the vehicle wells; log2 of it for counts, lengths and areas."),
    Column("history_status", "vehicle", "", TEXT, "within, outside, too_few_batches (under 5 others)."),
    Column("history_low", "vehicle", "", REAL, "Lower end of the tolerance band of the line's other batches: 95 % of batches with 95 % confidence (Howe)."),
    Column("history_high", "vehicle", "", REAL, "Upper end."),
]
