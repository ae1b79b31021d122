"""Whether phenotypes move between an old and a new model: Bland and Altman's agreement.

Of every field, well or curve the old value is compared with the new one: their mean difference is
the bias, and 95 % of the differences lie between the limits of agreement (Bland & Altman, Lancet
327:307, 1986). Densities and lengths are compared in per cent of the pair's mean, since their
spread grows with them. Where a reviewer's labels give the true value of the same pixels, a move
can be told from an improvement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, repeat
from typing import Any

import numpy as np
import polars as pl

from imaging_service.models.fields import TracedField
from phenotypes.cells.measure import measure
from phenotypes.cells.neurites import neurite_length_um
from segmentation import Segmentation
from segmentation.field import Labels

# Bias up to which a phenotype has not moved, in the unit of its comparison: at least three times
# what turning the same fields by a quarter moves (1.2 %, 0.005, 0.03:
# benchmarks/masks/promotion.py), and for an EC50 a factor of 1.26, well under the factor of 3
# between usual doses.
MARGINS = {
    "live_density": (5.0, "%"),
    "neurite_length_density": (5.0, "%"),
    "nc_log2": (0.05, "log2"),
    "puncta_per_cell": (0.1, "per cell"),
    "log10_ec50": (0.1, "log10"),
}
_PER_CENT = ("live_density", "neurite_length_density")
# Channels of N:C, the first that a plate has.
_NC = ("aggregate", "identity", "granule", "envelope", "neurite")


@dataclass(frozen=True)
class Shift:
    """Agreement of old and new values of a phenotype, and their errors against traced truth.

    `reason` says why there is no comparison; then nothing else is given.
    """

    phenotype: str
    unit: str
    n: int = 0
    bias: float | None = None
    low: float | None = None
    high: float | None = None
    error_before: float | None = None
    error_after: float | None = None
    reason: str = ""

    @property
    def moved(self) -> bool:
        """Whether the bias is beyond the phenotype's margin."""
        return self.bias is not None and abs(self.bias) > MARGINS[self.phenotype][0]

    @property
    def towards_truth(self) -> bool:
        """Whether the new values are nearer to what reviewers traced."""
        return (
            self.error_before is not None
            and self.error_after is not None
            and self.error_after < self.error_before
        )

    def described(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self) | {"margin": MARGINS[self.phenotype][0], "moved": self.moved}


def shift(
    phenotype: str,
    pairs: Iterable[tuple[float | None, float | None]],
    truth: Sequence[float | None] = (),
    reason: str = "",
) -> Shift:
    """Bland and Altman's agreement of (old, new) values; `truth` has one value per pair."""
    unit = MARGINS[phenotype][1]
    known = [
        (old, new, true)
        for (old, new), true in zip(pairs, chain(truth, repeat(None)), strict=False)
        if old is not None and new is not None
    ]
    differences = [_difference(phenotype, old, new) for old, new, _ in known]
    if not differences:
        return Shift(phenotype, unit, reason=reason or "neither model gives a value")
    bias, spread = float(np.mean(differences)), 0.0
    if len(differences) > 1:
        spread = 1.96 * float(np.std(differences, ddof=1))
    errors = [
        (abs(_difference(phenotype, t, old)), abs(_difference(phenotype, t, new)))
        for old, new, t in known
        if t is not None
    ]
    return Shift(
        phenotype,
        unit,
        len(differences),
        bias,
        bias - spread,
        bias + spread,
        float(np.mean([before for before, _ in errors])) if errors else None,
        float(np.mean([after for _, after in errors])) if errors else None,
    )


def _difference(phenotype: str, old: float, new: float) -> float:
    if phenotype not in _PER_CENT:
        return new - old
    middle = (old + new) / 2
    return 100 * (new - old) / middle if middle else 0.0


def field_values(field: TracedField, labels: Mapping[str, Labels]) -> dict[str, float | None]:
    """Phenotypes of one field by an engine's or a reviewer's labels; None where not defined.

    Which cells live is called over a whole plate, so every cell of a traced field counts.
    """
    values: dict[str, float | None] = dict.fromkeys(MARGINS)
    area_mm2 = field.field.valid_area_um2 / 1e6
    if "neurites" in labels and area_mm2:
        mask = labels["neurites"] > 0
        if "somas" in labels:
            mask &= labels["somas"] == 0
        length = neurite_length_um(mask, field.field.pixel_size_um)
        values["neurite_length_density"] = length / 1000 / area_mm2
    if "nuclei" not in labels and "somas" not in labels:
        return values
    cells = measure(field.field, Segmentation(dict(labels), "compared")).cells
    values["live_density"] = len(cells) / area_mm2 if area_mm2 else None
    nc = next((f"nc_log2_{r}" for r in _NC if field.field.has(r)), "")
    if {"nuclei", "somas"} <= set(labels) and nc in cells.columns:
        values["nc_log2"] = _mean(cells[nc])
    if "puncta" in labels and "puncta_count" in cells.columns:
        values["puncta_per_cell"] = _mean(cells["puncta_count"])
    return values


def _mean(values: pl.Series) -> float | None:
    mean = values.drop_nulls().cast(pl.Float64).mean()
    return mean if isinstance(mean, float) else None


def field_shifts(
    old: Sequence[tuple[TracedField, Segmentation]], new: Sequence[tuple[TracedField, Segmentation]]
) -> list[Shift]:
    """Shifts of each phenotype over traced fields that both engines segmented."""
    before = [field_values(f, s.labels) for f, s in old]
    after = [field_values(f, s.labels) for f, s in new]
    true = [field_values(f, f.labels) for f, _ in old]
    made = []
    for name in MARGINS:
        if name == "log10_ec50":
            continue
        truth = [t[name] for t in true]
        made.append(
            shift(name, [(b[name], a[name]) for b, a in zip(before, after, strict=True)], truth)
        )
    return made


def run_shifts(
    old: tuple[pl.DataFrame, pl.DataFrame], new: tuple[pl.DataFrame, pl.DataFrame]
) -> list[Shift]:
    """Shifts over the wells and curves of a plate: (wells, responses) of the old and new run."""
    wells = old[0].join(new[0], on="well", how="inner", suffix="_new")
    nc = next((f"nc_log2_{r}" for r in _NC if _known(wells, f"nc_log2_{r}")), "")
    columns = {
        "live_density": "live_density",
        "neurite_length_density": "neurite_length_density",
        "nc_log2": nc,
        "puncta_per_cell": "puncta_per_neuron",
    }
    made = []
    for name, column in columns.items():
        if _known(wells, column):
            made.append(shift(name, wells.select(column, f"{column}_new").rows()))
        else:
            made.append(Shift(name, MARGINS[name][1], reason="the plate does not measure it"))
    keys = ["line", "compound", "phenotype"]
    curves = (
        old[1]
        .join(new[1], on=keys, how="inner", suffix="_new")
        .filter(pl.col("ec50_molar").is_not_null() & pl.col("ec50_molar_new").is_not_null())
    )
    pairs = [
        (float(np.log10(a)), float(np.log10(b)))
        for a, b in curves.select("ec50_molar", "ec50_molar_new").rows()
    ]
    made.append(shift("log10_ec50", pairs, reason="no curve has an EC50 with both models"))
    return made


def _known(wells: pl.DataFrame, column: str) -> bool:
    return column in wells.columns and wells[column].drop_nulls().len() > 0
