"""A screen's `report.html` and its single pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from imaging_service.web import charts, screen_charts
from imaging_service.web.charts import Spec
from imaging_service.web.specifications.forest import screen_forest
from imaging_service.web.templating import environment
from imaging_service.web.variance_charts import variance_quantiles
from phenotypes.columns.statuses import (
    AssociationStatus,
    CompoundStatus,
    HazardStatus,
    RescueStatus,
    ScreenCurveStatus,
    ScreenStatus,
    Status,
    WindowStatus,
)
from phenotypes.screens.fit import Screen
from phenotypes.screens.rows import Cells, cells_of, curve_of, points_of
from phenotypes.statistics.curves.hill import DoseResponse

_MOST_HITS, _MOST_COMPOUNDS, _MOST_PICTURES = 300, 300, 12
KINDS = ("curve", "forest", "heatmap", "window", "variance")


@dataclass(frozen=True)
class SitePage:
    """What came from which site, what was refused, bridges, and how sites differ; plain values."""

    sites: Sequence[Mapping[str, object]]
    refused: Sequence[Mapping[str, object]]
    bridges: Sequence[Mapping[str, object]]
    compared: Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class ScreenContent:
    """Content of the report: tables, origin of the plates, remarks, and line ► gene or genotype.

    The plates are plain values. `sites` is None for a screen of one laboratory's plates.
    """

    title: str
    plates: Sequence[Mapping[str, object]]
    tables: Screen
    hazards: pl.DataFrame
    findings: Sequence[str]
    genes: Mapping[str, str]
    sites: SitePage | None = None


@dataclass(frozen=True)
class Picture:
    """One picture: what it is of, and how to draw it.

    `draw` gives an empty specification where there is nothing to draw.
    """

    kind: str
    phenotype: str
    compound: str
    line: str
    draw: Callable[[], Spec]

    @property
    def name(self) -> str:
        """Name for a file, without ending."""
        parts = (self.kind, self.phenotype, self.compound, self.line)
        return "_".join(
            "".join(c if c.isalnum() or c in "-." else "-" for c in p) for p in parts if p
        )


def pictures(content: ScreenContent) -> Iterator[Picture]:
    """All pictures that a screen can give, the strongest effects first within a kind."""
    responses = content.tables.responses
    names = responses["phenotype"].unique(maintain_order=True).to_list()
    for name in names:
        yield Picture(
            "heatmap", name, "", "", partial(screen_charts.line_compound_heatmap, responses, name)
        )
    for name in content.tables.windows["phenotype"].unique(maintain_order=True):
        yield Picture(
            "window",
            name,
            "",
            "",
            partial(screen_charts.disease_windows, content.tables.windows, name),
        )
    for name in names:
        yield Picture("variance", name, "", "", partial(variance_quantiles, responses, name))
    strongest = responses.with_columns(pl.col("hit").fill_null(value=False)).sort(
        pl.col("hit"),
        pl.col("best_q_value"),
        "line",
        "compound",
        "phenotype",
        descending=[True, False, False, False, False],
        nulls_last=True,
    )
    for name, compound in (
        strongest.select("phenotype", "compound").unique(maintain_order=True).rows()
    ):
        yield Picture("forest", name, compound, "", partial(_forest, content, name, compound))
    batches = content.tables.batches
    treated = cells_of(batches.filter(pl.col("control") == "none"))
    for r in strongest.iter_rows(named=True):
        key = (r["phenotype"], r["line"], r["compound"])
        if key in treated:
            draw = partial(_curve, treated[key], r)
            yield Picture("curve", r["phenotype"], r["compound"], r["line"], draw)


def _forest(content: ScreenContent, name: str, compound: str) -> Spec:
    chosen = (pl.col("phenotype") == name) & (pl.col("compound") == compound)
    return screen_forest(
        content.tables.responses.filter(chosen),
        content.tables.compounds.filter(chosen),
        compound,
        name,
        dict(content.genes),
    )


def _curve(cells: Cells, row: Mapping[str, str]) -> Spec:
    points = points_of(cells, row["phenotype"])
    table = pl.DataFrame(
        {
            "batch": [b or "unnamed" for b in points["batch"]],
            "dose_molar": points["dose"],
            "response": points["response"],
            "n_wells": [int(n) for n in points["wells"]],
        }
    )
    if row["curve_status"] == ScreenCurveStatus.BATCHES_DISAGREE:
        curve = DoseResponse(row["curve_status"], row["curve_reason"])
    else:
        curve = curve_of(cells, row["phenotype"])
    return screen_charts.batch_curves(
        table, curve, row["line"], row["compound"], row["phenotype"], row["response_unit"]
    )


def render_screen(content: ScreenContent) -> str:
    """The report as HTML. Same content, same bytes."""
    shown: dict[str, list[Spec]] = {kind: [] for kind in KINDS}
    left_out = False
    for picture in pictures(content):
        if picture.kind in ("forest", "curve") and len(shown[picture.kind]) >= _MOST_PICTURES:
            left_out = True
            continue
        if spec := picture.draw():
            shown[picture.kind].append(spec)
    responses, compounds = content.tables.responses, content.tables.compounds
    hits = responses.filter(pl.col("hit").fill_null(value=False)).sort(
        "best_q_value", "phenotype", "line", "compound"
    )
    return (
        environment()
        .get_template("screen.html")
        .render(
            title=content.title,
            plates=content.plates,
            findings=content.findings,
            n_lines=responses["line"].n_unique(),
            n_donors=responses["donor"].n_unique(),
            n_compounds=responses["compound"].n_unique(),
            n_batches=content.tables.batches["batch"].n_unique(),
            n_rows=len(responses),
            n_hits=len(hits),
            compounds=compounds.head(_MOST_COMPOUNDS).to_dicts(),
            compounds_left_out=max(0, len(compounds) - _MOST_COMPOUNDS),
            hits=hits.head(_MOST_HITS).to_dicts(),
            hits_left_out=max(0, len(hits) - _MOST_HITS),
            hazards=content.hazards.to_dicts(),
            refused=_refused(content.tables, content.hazards),
            sites=content.sites,
            pictures_left_out=left_out,
            n_heatmap=len(shown["heatmap"]),
            n_forest=len(shown["forest"]),
            n_curve=len(shown["curve"]),
            n_windows=len(shown["window"]),
            n_variance=len(shown["variance"]),
            # "</" would end the script element early; JSON may escape the slash.
            specs=json.dumps(shown, separators=(",", ":")).replace("</", "<\\/"),
            script=charts.page_script().replace("</script", "<\\/script"),
        )
    )


def _refused(tables: Screen, hazards: pl.DataFrame) -> list[dict[str, object]]:
    """Statuses without a number, with the count of their rows and one of their reasons."""
    parts: tuple[tuple[pl.DataFrame, str, str, str, Sequence[Status]], ...] = (
        (tables.responses, "effect", "status", "reason", [ScreenStatus.OK]),
        (
            tables.responses,
            "curve",
            "curve_status",
            "curve_reason",
            [ScreenCurveStatus.OK, ScreenCurveStatus.FLAT],
        ),
        (
            tables.responses,
            "rescue",
            "rescue_status",
            "rescue_reason",
            [RescueStatus.OK, RescueStatus.NO_PAIR],
        ),
        (tables.compounds, "mean over donors", "status", "reason", [CompoundStatus.OK]),
        (
            tables.compounds,
            "difference between genes",
            "association_status",
            "reason",
            [AssociationStatus.OK, AssociationStatus.HOMOGENEOUS],
        ),
        (tables.windows, "disease window", "status", "reason", [WindowStatus.EXPRESSED]),
        (hazards, "hazard ratio", "status", "reason", [HazardStatus.OK]),
    )
    refusals: list[dict[str, object]] = []
    for table, what, status, reason, fine in parts:
        counted = (
            table.filter(pl.col(status).is_not_null() & ~pl.col(status).is_in(fine))
            .group_by(status, maintain_order=True)
            .agg(pl.len().alias("n"), pl.col(reason).drop_nulls().first().alias("example"))
            .sort("n", status, descending=[True, False])
        )
        refusals += [
            {"what": what, "status": r[status], "n": r["n"], "example": r["example"] or ""}
            for r in counted.iter_rows(named=True)
        ]
    return refusals
