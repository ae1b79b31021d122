"""Small screens with a known truth, for the tests of everything that pools plates."""

from __future__ import annotations

import numpy as np
import polars as pl


def screen_wells(
    rng,
    lines=("L1", "L2", "L3", "L4"),
    batches=3,
    wells=4,
    effect=1.0,
    batch_sd=0.0,
    line_sd=0.0,
    noise=0.05,
    shared_plates=False,
):
    """Density 200 × 2^effect under the drug at one dose; batches differ in level and in response,
    lines in response.
    """
    rows = []
    for line in lines:
        own = effect + rng.normal(0, line_sd)
        for b in range(batches):
            level, answer = rng.lognormal(5.3, 0.3), own + rng.normal(0, batch_sd)
            for control, compound, dose in (("vehicle", "DMSO", 0.0), ("none", "x", 1e-6)):
                rows += [
                    {
                        "plate": f"p{b}" if shared_plates else f"{line}-{b}",
                        "batch": f"b{b}",
                        "line": line,
                        "genotype": "SOD1",
                        "compound": compound,
                        "dose_molar": dose,
                        "control": control,
                        "status": "done",
                        "nuclei_count": 300,
                        "live_density": (
                            level
                            * 2 ** ((answer if control == "none" else 0) + rng.normal(0, noise))
                        ),
                    }
                    for _ in range(wells)
                ]
    return pl.DataFrame(rows)


DOSES = np.geomspace(1e-8, 3e-5, 8)


def ladder_wells(
    rng,
    lines,
    batches=3,
    wells=3,
    vehicles=8,
    ec50=1e-6,
    span=None,
    gap=0.0,
    isogenic=(),
    noise=0.05,
    ec50_sd=0.05,
):
    """Curves over eight doses: density × (1 + span · Hill) and nc_log2_aggregate, lower by `gap` in
    lines that are not isogenic.
    """
    rows = []
    span = span or {}
    for b in range(batches):
        for line in lines:
            level, half = rng.lognormal(5.3, 0.2), ec50 * 10 ** rng.normal(0, ec50_sd)
            shift = 0.0 if line in isogenic else -gap
            conditions = [("vehicle", "DMSO", 0.0)] * vehicles + [
                ("none", "x", d) for d in DOSES for _ in range(wells)
            ]
            for control, compound, dose in conditions:
                share = dose / (dose + half)
                rows.append(
                    {
                        "plate": f"p{b}",
                        "batch": f"b{b}",
                        "line": line,
                        "genotype": "corrected" if line in isogenic else "SOD1",
                        "compound": compound,
                        "dose_molar": dose,
                        "control": control,
                        "status": "done",
                        "nuclei_count": 300,
                        "live_density": (
                            level
                            * (1 + span.get("live_density", 0.0) * share)
                            * 2 ** rng.normal(0, noise)
                        ),
                        "nc_log2_aggregate": (
                            1.0
                            + shift
                            + span.get("nc_log2_aggregate", 0.0) * share * (line not in isogenic)
                            + rng.normal(0, noise)
                        ),
                    }
                )
    return pl.DataFrame(rows)


def planned_of(wells):
    """What the plate maps meant to give."""
    return (
        wells.filter(pl.col("control") == "none").select("line", "compound", "dose_molar").unique()
    )


def component_wells(
    rng,
    lines=12,
    compounds=30,
    batches=4,
    wells=4,
    vehicles=16,
    donor_sd=0.0,
    batch_sd=0.15,
    line_sd=0.1,
    well_sd=0.2,
    vehicle_sd=None,
    effects=None,
):
    """Density with known variance components of its log2 effects; donors differ where compounds
    work (`effects`, of shape (compounds,)), a compound has one dose, and a line a plate per batch.
    """
    effects = np.zeros(compounds) if effects is None else np.asarray(effects, float)
    works = effects != 0
    donor = effects + works * rng.normal(0, donor_sd, (lines, compounds))
    shared = rng.normal(0, batch_sd, (batches, compounds))
    parts = []
    for i in range(lines):
        for b in range(batches):
            own = donor[i] + shared[b] + rng.normal(0, line_sd, compounds)
            noise = np.r_[
                rng.normal(0, well_sd if vehicle_sd is None else vehicle_sd, vehicles),
                rng.normal(0, well_sd, compounds * wells),
            ]
            level = np.r_[np.zeros(vehicles), np.repeat(own, wells)] + noise
            n_treated = compounds * wells
            parts.append(
                pl.DataFrame(
                    {
                        "plate": f"L{i:02d}-{b}",
                        "batch": f"b{b}",
                        "line": f"L{i:02d}",
                        "genotype": "SOD1",
                        "compound": ["DMSO"] * vehicles
                        + [f"c{c:02d}" for c in range(compounds) for _ in range(wells)],
                        "dose_molar": np.repeat([0.0, 1e-6], [vehicles, n_treated]),
                        "control": ["vehicle"] * vehicles + ["none"] * n_treated,
                        "status": "done",
                        "nuclei_count": 300,
                        "live_density": 200 * 2.0**level,
                    }
                )
            )
    return pl.concat(parts)
