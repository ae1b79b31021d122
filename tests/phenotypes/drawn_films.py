"""Tables of a small film with deaths by a sensor, for the tests of everything that reads tracks."""

from __future__ import annotations

import numpy as np
import polars as pl

from phenotypes.columns.dictionary import columns, conform

FRAMES, HOURS, SIDE = 6, 12.0, 400.0
# Per line: vehicle, treated and killed wells, of two fields each.
KINDS = (
    *[("vehicle", "DMSO", 0.0)] * 5,
    *[("none", "x", 1e-6)] * 3,
    *[("positive", "kill", 1e-5)] * 2,
)
CONDITIONS = pl.DataFrame(
    [
        {
            "well": f"{row}{i + 1:02d}",
            "line": line,
            "genotype": genotype,
            "compound": compound,
            "dose_molar": dose,
            "control": control,
            "batch": "b1",
        }
        for row, line, genotype in (("B", "HC", "healthy"), ("C", "TDP", "TARDBP"))
        for i, (control, compound, dose) in enumerate(KINDS)
    ]
)


def film(n=20, unusable=()):
    """Cells and fields: `n` neurons per field, which read 0.2 alive and 1 dead, and die sooner
    under the drug; the first is dead at the start, the second
    pyknotic. Frames `unusable` are blurred.
    """
    rng = np.random.default_rng(0)
    cells, fields = [], []
    pyknotic = np.arange(n) == 1
    reals = [name for name, c in columns("cell").items() if c.dtype == pl.Float64]
    for well, control in CONDITIONS.select("well", "control").rows():
        for field in (1, 2):
            mean = {"vehicle": 150.0, "none": 50.0, "positive": 1.0}[control]
            dies = rng.exponential(mean, n)
            dies[0] = -1.0  # dead before the film begins
            place = rng.uniform(60, SIDE - 60, (n, 2))
            for frame in range(1, FRAMES + 1):
                hours = (frame - 1) * HOURS
                usable = frame not in unusable
                fields.append(
                    {
                        "well": well,
                        "field": field,
                        "frame": frame,
                        "time_h": hours,
                        "usable": usable,
                        "drift_y_um": 0.0,
                        "drift_x_um": 0.0,
                        "turn_deg": 0.0,
                        "height_um": SIDE,
                        "width_um": SIDE,
                        "area_mm2": (SIDE / 1000) ** 2,
                        "nuclei_count": n,
                        "focus_dna": rng.normal(-2, 0.1),
                        "exposed_h": hours,
                        "background_aggregate": rng.normal(100, 4),
                    }
                )
                values = {name: rng.normal(3, 0.3, n) for name in reals}
                cells.append(
                    pl.DataFrame(
                        values
                        | {
                            "well": [well] * n,
                            "field": field,
                            "frame": frame,
                            "label": np.arange(1, n + 1),
                            "track": np.arange(1, n + 1) if usable else [None] * n,
                            "conflict": False,
                            "touches_border": False,
                            "is_neuron": True,
                            "y_um": place[:, 0],
                            "x_um": place[:, 1],
                            "soma_area_um2": rng.normal(200, 10, n),
                            "soma_form_factor": 0.6,
                            "nucleus_area_um2": rng.normal(np.where(pyknotic, 30, 100), 3),
                            "nucleus_mean_dna": rng.normal(np.where(pyknotic, 2000, 1000), 30),
                            "soma_mean_neurite": 100.0,
                            "soma_mean_death": np.where(dies < hours, 100.0, 20.0)
                            + rng.normal(0, 2, n),
                        },
                        schema_overrides={"track": pl.Int64},
                    )
                )
    return conform(pl.concat(cells), "cell"), conform(pl.DataFrame(fields), "field")
