"""Every chart of a run by its name: what a page shows, the API gives and the report draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from imaging_service.errors import NotFound
from imaging_service.web.charts import Spec, plate_heatmap
from imaging_service.web.specifications.curves import dose_response
from imaging_service.web.specifications.forest import line_forest
from imaging_service.web.specifications.matrix import plate_matrix
from imaging_service.web.specifications.quality import control_windows
from plate_maps import PlateFormat

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class RunTables:
    """The tables of one run that charts are drawn from, as plain rows; `tracks` as a table."""

    plate_format: PlateFormat
    wells: Rows = ()
    responses: Rows = ()
    quality: Rows = ()
    curves: Rows = ()
    tracks: pl.DataFrame | None = None


@dataclass(frozen=True)
class Choice:
    """What a chart is of; a part that it does not need is ignored.

    `well_page` and `curve_page` give the addresses that marks lead to; without them marks are no
    links. `well` is ringed where it is a point.
    """

    phenotype: str = ""
    compound: str = ""
    line: str = ""
    well: str = ""
    well_page: Callable[[str], str] | None = field(default=None, compare=False)
    curve_page: Callable[[str, str], str] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Chart:
    """A chart: what it shows, which parts of a choice it needs, and how it is drawn."""

    shows: str
    needs: tuple[str, ...]
    draw: Callable[[RunTables, Choice], Spec]


def chart(name: str, tables: RunTables, choice: Choice) -> Spec:
    """The specification of a chart.

    Raises NotFound for a chart of no such name, for a part of the choice that is missing, and
    where there is nothing to draw; the message says what to choose.

    Examples
    --------
    >>> from plate_maps import plate_format
    >>> chart("pie", RunTables(plate_format(96)), Choice())
    Traceback (most recent call last):
        ...
    imaging_service.errors.NotFound: there is no chart pie; choose one of curve, forest, ...
    """
    if name not in CHARTS:
        raise NotFound(f"there is no chart {name}; choose one of {', '.join(sorted(CHARTS))}")
    wanted = CHARTS[name]
    missing = [part for part in wanted.needs if not getattr(choice, part)]
    if missing:
        raise NotFound(f"chart {name} needs {' and '.join(missing)}: add them to the address")
    spec = wanted.draw(tables, choice)
    if not spec:
        of = ", ".join(filter(None, (choice.phenotype, choice.compound, choice.line)))
        raise NotFound(
            f"chart {name}{f' of {of}' if of else ''}: no row of the run has a number to draw; the"
            " response table says why"
        )
    return spec


def _plate(tables: RunTables, choice: Choice) -> Spec:
    if not tables.wells or choice.phenotype not in tables.wells[0]:
        return {}
    columns = (
        "well",
        "line",
        "compound",
        "control",
        "dose_molar",
        "status",
        "reason",
        choice.phenotype,
    )
    wells = pl.DataFrame(
        [{name: row[name] for name in columns} for row in tables.wells], infer_schema_length=None
    )
    return plate_heatmap(wells, choice.phenotype, tables.plate_format)


def _curve(tables: RunTables, choice: Choice) -> Spec:
    chosen = [
        c
        for c in tables.curves
        if (c["phenotype"], c["compound"]) == (choice.phenotype, choice.compound)
        and choice.line in ("", c["line"])
    ]
    intervals = {
        r["line"]: (r["ec50_low"], r["ec50_high"])
        for r in tables.responses
        if (r["phenotype"], r["compound"]) == (choice.phenotype, choice.compound)
    }
    lines = sorted({c["line"] for c in tables.curves})
    return dose_response(chosen, lines, intervals, choice.well_page, choice.well)


def _survival(tables: RunTables, choice: Choice) -> Spec:
    if tables.tracks is None or tables.tracks.is_empty():
        return {}
    # Only a film's pages need what computes it.
    from imaging_service.web.specifications.survival import arms_of, survival_chart

    arms = arms_of(tables.tracks, choice.line, choice.compound)
    return survival_chart(arms, choice.line, choice.compound)


CHARTS: Mapping[str, Chart] = {
    "plate": Chart("one phenotype over the plate", ("phenotype",), _plate),
    "curve": Chart(
        "wells, curves and EC50 intervals of a compound", ("phenotype", "compound"), _curve
    ),
    "matrix": Chart(
        "effects of all compounds on all lines",
        ("phenotype",),
        lambda tables, choice: plate_matrix(tables.responses, choice.phenotype, choice.curve_page),
    ),
    "forest": Chart(
        "effects of a compound over lines",
        ("phenotype", "compound"),
        lambda tables, choice: line_forest(tables.responses, choice.compound, choice.phenotype),
    ),
    "survival": Chart(
        "neurons alive over time with intervals, and those at risk", ("compound", "line"), _survival
    ),
    "windows": Chart(
        "how far positive control and vehicle are apart",
        (),
        lambda tables, _: control_windows(tables.quality),
    ),
}
