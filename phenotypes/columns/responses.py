"""Columns of what follows from the wells of one plate: quality, responses, checks, tracks, hazards."""

from __future__ import annotations

from phenotypes.columns.column import BOOL, INT, REAL, TEXT, Column, condition

# Tables of columns, one column per line.
# fmt: off
QUALITY = [
    Column("line", "quality", "", TEXT, "Cell line."),
    Column("phenotype", "quality", "", TEXT, "Well column."),
    Column("status", "quality", "", TEXT, "ok, or why nothing was computed."),
    Column("reason", "quality", "", TEXT, "The status in words."),
    Column("n_vehicle", "quality", "", INT, "Vehicle wells with a value."),
    Column("n_positive", "quality", "", INT, "Positive-control wells with a value."),
    Column("vehicle_mean", "quality", "", REAL, "Mean of the vehicle wells, in the phenotype's unit."),
    Column("vehicle_cv", "quality", "", REAL, "Standard deviation / mean of the vehicle wells; null for phenotypes that may be zero."),
    Column("positive_mean", "quality", "", REAL, "Mean of the positive-control wells."),
    *[
        Column(f"{name}{part}", "quality", "", REAL, meaning + tail)
        for name, meaning in (
            ("z_prime", "Z′ = 1 − 3(σp + σn)/|µp − µn|"),
            ("robust_z_prime", "Z′ with medians and 1.4826 MAD"),
            ("ssmd", "SSMD = (µp − µn)/√(σp² + σn²)"),
            ("signal_window", "Signal window = (|µp − µn| − 3(σp + σn))/σn, n the vehicle"),
            ("v_factor", "V-factor = 1 − 6σ̄/|µp − µn|, σ̄ the mean SD over all replicated conditions of the line"),
        )
        for part, tail in (("", "."), ("_low", ", lower end of its 95 % interval (generalised, of normal wells); null where a group of wells does not vary."), ("_high", ", upper end."))
    ],
]

RESPONSE = [
    *condition("response", dose=False, control=False),
    Column("phenotype", "response", "", TEXT, "Well column that responds."),
    Column("population", "response", "", TEXT, "Cells that counts and means describe: motor neurons, neurons or nuclei."),
    Column("unit", "response", "", TEXT, "Unit of e0, emax, effect and auc: % of vehicle, or the phenotype's own as a difference to vehicle."),
    Column("status", "response", "", TEXT, "ok, flat, below_tested_range, above_tested_range, not_determined, confounded_with_position, not_monotone, lack_of_fit, or why nothing was fitted."),
    Column("reason", "response", "", TEXT, "The status in words."),
    Column("direction", "response", "", TEXT, "ascending or descending."),
    Column("model", "response", "", TEXT, "hill4, constant, or means where no curve fits."),
    Column("n_cells", "response", "", INT, "Cells in the wells used; they add no degrees of freedom."),
    Column("n_wells", "response", "", INT, "Treated wells used."),
    Column("n_vehicle", "response", "", INT, "Vehicle wells used."),
    Column("n_doses", "response", "", INT, "Different doses."),
    Column("n_plates", "response", "", INT, "Plates."),
    Column("n_batches", "response", "", INT, "Differentiation batches."),
    Column("ec50_molar", "response", "mol/L", REAL, "Dose of the half-maximal effect (relative EC50)."),
    Column("ec50_low", "response", "mol/L", REAL, "Lower end of its 95 % profile-likelihood interval, given whether or not the EC50 is; null if it is open."),
    Column("ec50_high", "response", "mol/L", REAL, "Upper end; null if it is open."),
    Column("ec50_absolute_molar", "response", "mol/L", REAL, "Dose at which the fitted curve falls to 50 % of vehicle; null if it does not within the doses, or for differences."),
    Column("hill", "response", "", REAL, "Hill slope, > 0 in both directions."),
    Column("e0", "response", "", REAL, "Fitted response without compound; the mean of vehicle wells where no curve fits."),
    Column("emax", "response", "", REAL, "Fitted response at the highest tested dose; the mean of its wells where no curve fits."),
    Column("effect", "response", "", REAL, "emax − e0; for a flat curve the mean of treated minus vehicle wells."),
    Column("effect_low", "response", "", REAL, "Lower end of its 95 % interval, between wells of this plate only."),
    Column("effect_high", "response", "", REAL, "Upper end."),
    Column("p_value", "response", "", REAL, "Of no response to the dose (the better of the Hill curve and the means at the doses), by permuting treated wells over doses, their mean about the vehicle's being Welch's t (up to 19,999 draws, so never under 0.00005)."),
    Column("q_value", "response", "", REAL, "Benjamini–Hochberg over the rows of the same phenotype."),
    Column("auc", "response", "", REAL, "Mean fitted response over the logarithm of the dose range of this compound that all lines were given; of the means at the doses where no curve fits."),
    Column("residual_sd", "response", "", REAL, "Standard deviation of the wells about the curve."),
    Column("z_prime", "response", "", REAL, "Z′ of this phenotype and line on this plate."),
    Column("ssmd", "response", "", REAL, "SSMD of this phenotype and line on this plate."),
    Column("run_id", "response", "", TEXT, "Run that made the row."),
    Column("plate_map_digest", "response", "", TEXT, "SHA-256 of the plate map."),
    Column("protocol_digest", "response", "", TEXT, "SHA-256 of the protocol."),
    Column("label_version", "response", "", INT, "Revision of the review that the row follows: 1 before any, one more for every correction and verdict on the run."),
    Column("software_version", "response", "", TEXT, "Version of this software."),
]

CHECK = [
    Column("check", "check", "", TEXT, "edge_effect, row_trend, column_trend, row_difference, column_difference, acquisition_drift (of vehicle wells, each phenotype asked for), position_correction, autofluorescence, pyknosis, identity, mislocalisation, death, survival, saturation (channels with a clipped camera), scan (fields that are lost)."),
    Column("subject", "check", "", TEXT, "Phenotype, or compound and channel."),
    Column("status", "check", "", TEXT, "ok, warning or not_assessable."),
    Column("reason", "check", "", TEXT, "The finding in words."),
    Column("value", "check", "", REAL, "Edge: ratio of medians (difference for a phenotype whose scale is difference); trends and drift: rank correlation; differences: highest beside lowest; autofluorescence: robust z; identity: threshold in grey levels."),
    Column("unit", "check", "", TEXT, "Unit of effect and could_see, as in responses: % of vehicle, or a difference."),
    Column("effect", "check", "", REAL, "Edge beside inside; change from the first to the last row, column or time of imaging with vehicle wells; highest beside lowest row or column. Each line is compared with itself."),
    Column("could_see", "check", "", REAL, "The smallest effect that the check would have found 4 times of 5, for differences of one row or column: a check that is ok rules out no smaller one."),
    Column("p_value", "check", "", REAL, "F test of the check alone."),
    Column("p_adjusted", "check", "", REAL, "Over all checks of all phenotypes of the plate, by exchanging vehicle wells within lines (999 permutations); a warning under quality.trend_p."),
    Column("n_wells", "check", "", INT, "Wells it was read from."),
]

TRACK = [
    Column("well", "track", "", TEXT, "Well name."),
    Column("field", "track", "", INT, "Field number within the well."),
    Column("track", "track", "", INT, "Number of the track in its field, from 1."),
    *condition("track"),
    Column("first_frame", "track", "", INT, "First frame it was seen in."),
    Column("last_frame", "track", "", INT, "Last frame it was seen in."),
    Column("y_um", "track", "µm", REAL, "Where it began, in the coordinates of the first frame."),
    Column("x_um", "track", "µm", REAL, "Where it began."),
    Column("entry_h", "track", "h", REAL, "Start of its time at risk: the first usable frame."),
    Column("exit_h", "track", "h", REAL, "Time of death, or the last time it was known to live."),
    Column("event", "track", "", BOOL, "Whether it was seen to die, by the protocol's definition."),
    Column("reason", "track", "", TEXT, "Why it ended without a death: end_of_study, lost, left_field, identity_conflict, focus_failure."),
    Column("included", "track", "", BOOL, "Whether it was present and alive in the first usable frame, and neither it nor its field or well was left out; only these are analysed."),
    Column("excluded_reason", "track", "", TEXT, "Why it was not included."),
    Column("study_end_h", "track", "h", REAL, "Last hour at which a death in its field can be told: its last usable frame; the one before where two frames must show a death (reporter_loss, rounding)."),
]

HAZARD = [
    *condition("hazard", control=False),
    Column("status", "hazard", "", TEXT, "ok, one_batch, informative_censoring, no_vehicle, several_sites, too_few_tracks, too_few_events, too_few_wells, not_converged."),
    Column("reason", "hazard", "", TEXT, "The status in words."),
    Column("hazard_ratio", "hazard", "", REAL, "Of death against vehicle wells of the same line: Cox with entry times, Efron ties, stratified by plate and batch."),
    Column("hr_low", "hazard", "", REAL, "Lower end of its 95 % interval: between batches, or in one batch between wells and never narrower than the model's. Where loss is informative, it holds whatever became of the lost neurons of either arm."),
    Column("hr_high", "hazard", "", REAL, "Upper end."),
    Column("p_value", "hazard", "", REAL, "Between batches (Student's t, batches − 1 degrees of freedom). Null with one batch, where loss is informative, and where there is no ratio."),
    Column("schoenfeld_p", "hazard", "", REAL, "Test of proportional hazards; under 0.01 the ratio is an average over time."),
    Column("hr_lost_died", "hazard", "", REAL, "Ratio if all lost tracks had died when last seen; given where the arms lose unequally."),
    Column("hr_lost_died_low", "hazard", "", REAL, "Lower end of its 95 % interval."),
    Column("hr_lost_died_high", "hazard", "", REAL, "Upper end."),
    Column("hr_lost_lived", "hazard", "", REAL, "Ratio if all lost tracks had lived to the end."),
    Column("hr_lost_lived_low", "hazard", "", REAL, "Lower end of its 95 % interval."),
    Column("hr_lost_lived_high", "hazard", "", REAL, "Upper end."),
    Column("rmst_start_h", "hazard", "h", REAL, "Hour from which the mean survival times are counted, of neurons alive then: the first at which both arms are followed, on the plates that this keeps longest."),
    Column("rmst_vehicle_h", "hazard", "h", REAL, "Restricted mean survival time of vehicle from rmst_start_h to horizon_h (Kaplan–Meier with entry times; mean over plates)."),
    Column("rmst_treated_h", "hazard", "h", REAL, "That of the treated wells."),
    Column("rmst_difference_h", "hazard", "h", REAL, "Treated − vehicle."),
    Column("rmst_difference_low", "hazard", "h", REAL, "Lower end of its 95 % interval, as that of the hazard ratio."),
    Column("rmst_difference_high", "hazard", "h", REAL, "Upper end."),
    Column("rmst_lost_died", "hazard", "h", REAL, "The difference if all lost tracks had died when last seen; given where the arms lose unequally."),
    Column("rmst_lost_died_low", "hazard", "h", REAL, "Lower end of its 95 % interval."),
    Column("rmst_lost_died_high", "hazard", "h", REAL, "Upper end."),
    Column("rmst_lost_lived", "hazard", "h", REAL, "The difference if all lost tracks had lived to the end."),
    Column("rmst_lost_lived_low", "hazard", "h", REAL, "Lower end of its 95 % interval."),
    Column("rmst_lost_lived_high", "hazard", "h", REAL, "Upper end."),
    Column("horizon_h", "hazard", "h", REAL, "Time up to which survival is compared: the earliest study end of any field."),
    *[Column(f"{name}_{arm}", "hazard", "", dtype, meaning.format(arm)) for name, dtype, meaning in (("n_tracks", INT, "Included tracks, {} wells."), ("n_events", INT, "Deaths, {} wells."), ("n_wells", INT, "Number of {} wells."), ("lost_fraction", REAL, "Share of tracks whose end was not seen before the study's, {} wells.")) for arm in ("vehicle", "treated")],
    Column("n_batches", "hazard", "", INT, "Batches that have both arms and give a ratio by themselves."),
    Column("q_value", "hazard", "", REAL, "Benjamini–Hochberg over the rows of the table that have a p, positive controls left out."),
]

GROWTH = [
    Column("well", "growth", "", TEXT, "Treated well, by name."),
    *condition("growth", control=False),
    Column("status", "growth", "", TEXT, "ok, no_dosing, no_vehicle, vehicle_does_not_grow or not_measured."),
    Column("reason", "growth", "", TEXT, "The status in words."),
    Column("density_at_dosing", "growth", "1/mm²", REAL, "Mean live_density of the line's wells at dosing."),
    Column("density_of_vehicle", "growth", "1/mm²", REAL, "Mean live_density of the line's vehicle wells at the end."),
    Column("vehicle_growth", "growth", "", REAL, "density_of_vehicle / density_at_dosing; a growth rate needs 1.5."),
    Column("density", "growth", "1/mm²", REAL, "live_density of the well at the end."),
    Column("gr", "growth", "", REAL, "GR = 2^(log2(density / density_at_dosing) / log2(vehicle_growth)) − 1: 1 grows as vehicle, 0 does not grow, below 0 fewer cells than at dosing."),
]
