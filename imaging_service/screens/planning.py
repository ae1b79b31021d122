"""Plan the next screen from the scatter of one that was fitted: `screen power`.

Writes `power.csv`, all designs with their power, and a picture per phenotype.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import polars as pl

from imaging_service.errors import ScreenError
from imaging_service.files import write_bytes
from imaging_service.screens.folder import (
    conditions_of,
    read_screen_table,
    registry_of,
    settings_of,
)
from imaging_service.screens.remarks import facts_of
from imaging_service.store.tables import csv_bytes
from imaging_service.web import charts
from imaging_service.web.power_charts import power_picture
from phenotypes.screens.batches.components import Components, NotEstimableError, variance_components
from phenotypes.screens.power import Question, power_table

RATIO = "log2 ratio"


@dataclass(frozen=True)
class Plan:
    """Power of all designs for one phenotype, and the components that it follows from."""

    components: Components
    question: Question
    unit: str
    designs: pl.DataFrame


def plan(
    screen: str | PathLike[str], effect: float, phenotype: str = "", working: float = 0.1
) -> tuple[list[Plan], list[str]]:
    """Compute the power of designs for a phenotype, or for all whose effect is a log2 ratio.

    Parameters
    ----------
    screen
        Folder of a fitted screen.
    effect
        Effect to be found, in the unit of the phenotype.
    phenotype
        One phenotype of the screen. An effect means the same only for those in the same unit, so
        that without a name the log2 ratios are planned for.
    working
        Share of rows that have such an effect.

    Returns
    -------
    Plans, and a sentence per phenotype that cannot be planned for.

    Raises
    ------
    ScreenError
        Where nothing can be planned, with the reasons.
    """
    responses = read_screen_table(screen, "responses")
    units = dict(responses.select("phenotype", "unit").unique(maintain_order=True).rows())
    if phenotype and phenotype not in units:
        raise ScreenError(
            f"screen {screen} has no phenotype {phenotype!r}; choose one of {', '.join(units)}"
        )
    names = [phenotype] if phenotype else [name for name, unit in units.items() if unit == RATIO]
    conditions = conditions_of(screen)
    facts = facts_of(conditions, registry_of(screen), settings_of(screen))
    plans: list[Plan] = []
    reasons: list[str] = []
    for name in names:
        rows = responses.filter(pl.col("phenotype") == name)
        floor = next((f for f in rows["effect_floor"] if f is not None), 0.0)
        dosed = rows.filter(pl.col("effect_dose_molar").is_not_null())
        try:
            question = Question(effect, working, float(floor))
            components = variance_components(
                conditions,
                name,
                dict(dosed.select("compound", "effect_dose_molar").unique().rows()),
                donors=facts.donors,
                healthy=facts.healthy,
                working=set(rows.filter(pl.col("hit").fill_null(value=False))["compound"]),
            )
        except NotEstimableError as error:
            reasons.append(str(error))
            continue
        except ValueError as error:
            raise ScreenError(f"{name}: {error}") from error
        plans.append(Plan(components, question, units[name], power_table(components, question)))
    if not plans:
        others = ", ".join(name for name in units if name not in names)
        raise ScreenError(
            f"screen {screen} cannot be planned from: "
            + "; ".join(reasons or ["it has no phenotype whose effect is a log2 ratio"])
            + (f". Other phenotypes: {others} (--phenotype)" if others else "")
        )
    return plans, reasons


def write_plans(plans: Sequence[Plan], out: Path, fmt: str = "svg") -> list[Path]:
    """Write `power.csv` and a picture per phenotype; returns their paths."""
    table = pl.concat([p.designs for p in plans]).with_columns(
        pl.col("power", "moderated_power").round(4)
    )
    written = [out / "power.csv"]
    write_bytes(written[0], csv_bytes(table))
    for p in plans:
        spec = power_picture(p.components, p.question, p.designs, p.unit)
        path = out / f"power_{p.components.phenotype}.{fmt}"
        write_bytes(path, charts.png(spec) if fmt == "png" else charts.svg(spec).encode())
        written.append(path)
    return written
