"""Sites of a screen: what each sent, as tables that a screen is fitted from.

    SCREEN/sites/SITE/
        manifest.json, signature      what was signed, and by whom
        plates.json                   the plates' digests
        lines.tsv                     registry rows that consent allows, donors as keyed hashes
        batches, gaps, levels, spreads, placed, planned, refusals, quality, hazards (.parquet)
    SCREEN/sites/bridge_SITE.parquet  whether the site agreed with the others when it joined
    SCREEN/sites/refused.jsonl        what was refused, and why
    SCREEN/lines.tsv                  the hub's own registry: who has withdrawn, whatever sites say

A screen has plates of its own or sites, not both: a laboratory that pools adds its own summary.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from imaging_service.errors import ScreenError
from imaging_service.screens.remarks import PlateFile
from imaging_service.store.tables import read_table
from imaging_service.web.screen_report import SitePage
from phenotypes.columns.dictionary import empty_table
from phenotypes.columns.statuses import HazardStatus
from phenotypes.screens.parts import ScreenParts, pooled
from phenotypes.statistics.multiple_testing import with_q_values
from plate_maps.registry import Line, read_lines

PARTS = tuple(f.name for f in fields(ScreenParts))
MORE = ("planned", "refusals", "quality", "hazards")
_HAZARD = ["line", "compound", "dose_molar"]


@dataclass(frozen=True)
class Site:
    """One site's summary in a screen, without the lines that the hub knows as withdrawn."""

    name: str
    folder: Path
    withdrawn: frozenset[str] = frozenset()

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """What the site signed."""
        content: Mapping[str, Any] = json.loads((self.folder / "manifest.json").read_bytes())
        return content

    @cached_property
    def plates(self) -> tuple[PlateFile, ...]:
        """Its plates."""
        listed = json.loads((self.folder / "plates.json").read_bytes())
        return tuple(PlateFile.model_validate(plate) for plate in listed)

    @cached_property
    def lines(self) -> dict[str, Line]:
        """Its lines."""
        text = (self.folder / "lines.tsv").read_text(encoding="utf-8")
        lines = read_lines(text, f"{self.name}/lines.tsv")
        return {name: line for name, line in lines.items() if name not in self.withdrawn}

    def table(self, name: str) -> pl.DataFrame:
        """One of its tables. Raises ScreenError."""
        table = read_table(self.folder / f"{name}.parquet", ScreenError)
        return table.filter(~pl.col("line").is_in(list(self.withdrawn)))

    @cached_property
    def parts(self) -> ScreenParts:
        """The averages of its batches."""
        return ScreenParts(**{name: self.table(name) for name in PARTS})


def sites_of(screen: Path) -> list[Site]:
    """Sites of a screen in alphabetical order; none in a screen of its own plates."""
    sites = [Site(p.parent.name, p.parent) for p in sorted(screen.glob("sites/*/manifest.json"))]
    path = screen / "lines.tsv"
    if not sites or not path.is_file():
        return sites
    # By a line's name, or by the donor's hash: another site may have the donor under other names.
    gone = [x for x in read_lines(path.read_text("utf-8")).values() if x.withdrawn == "yes"]
    named, donors = {x.line for x in gone}, {x.donor for x in gone}
    donors |= {x.donor for site in sites for x in site.lines.values() if x.line in named}
    return [
        replace(
            site,
            withdrawn=frozenset(n for n, line in site.lines.items() if line.donor in donors),
        )
        for site in sites
    ]


def merged_lines(sites: Sequence[Site]) -> dict[str, Line]:
    """Lines of all sites; what one site leaves empty about a line, another may know."""
    merged: dict[str, Line] = {}
    for site in sites:
        for name, line in site.lines.items():
            known = asdict(merged[name]) if name in merged else {}
            merged[name] = Line(**{k: known.get(k) or v for k, v in asdict(line).items()})
    return merged


def sites_digest(sites: Sequence[Site]) -> bytes:
    """SHA-256 of what all sites signed."""
    digest = hashlib.sha256()
    for site in sites:
        digest.update(site.name.encode() + (site.folder / "manifest.json").read_bytes())
    return digest.digest()


def pooled_parts(sites: Sequence[Site]) -> ScreenParts:
    """The averages of all sites' batches."""
    return pooled(site.parts for site in sites)


def pooled_table(sites: Sequence[Site], name: str) -> pl.DataFrame:
    """One table of all sites."""
    return pl.concat([site.table(name) for site in sites], how="diagonal")


def pooled_hazards(sites: Sequence[Site]) -> pl.DataFrame:
    """Hazard ratios of all sites, with q over all of them.

    A line, compound and dose at two sites cannot be pooled from ratios: `several_sites`.
    """
    table = pooled_table(sites, "hazards").sort(_HAZARD, maintain_order=True)
    if table.is_empty():
        return empty_table("hazard")
    several = pl.len().over(_HAZARD) > 1
    numbers = [n for n, t in table.schema.items() if t.is_numeric() and n != "dose_molar"]
    reason = "measured at several sites, whose ratios are in their summaries: they are not pooled"
    # Without a q a row is a positive control, and no part of the family.
    table = table.with_columns((pl.col("q_value").is_null()).alias("known"))
    table = table.with_columns(
        *(pl.when(several).then(None).otherwise(pl.col(n)).alias(n) for n in numbers),
        pl.when(several)
        .then(pl.lit(HazardStatus.SEVERAL_SITES.value))
        .otherwise("status")
        .alias("status"),
        pl.when(several).then(pl.lit(reason)).otherwise("reason").alias("reason"),
    ).unique(_HAZARD, keep="first", maintain_order=True)
    tested = table.with_columns(pl.when(~pl.col("known")).then("p_value").alias("p_value"))
    return table.with_columns(with_q_values(tested.drop("known"))["q_value"]).drop("known")


def site_of_batches(sites: Sequence[Site]) -> dict[str, str]:
    """Batch ► its site."""
    return {b: site.name for site in sites for b in site.parts.batches["batch"].unique().sort()}


def refusals_of(screen: Path) -> list[dict[str, str]]:
    """Summaries that were refused: site, code and reason, oldest first."""
    path = screen / "sites" / "refused.jsonl"
    return [json.loads(r) for r in path.read_text("utf-8").splitlines()] if path.is_file() else []


def bridges_of(screen: Path) -> pl.DataFrame:
    """Bridges of all sites that joined over one, with the column `site`."""
    tables = [
        read_table(p, ScreenError).select(
            pl.lit(p.stem.removeprefix("bridge_")).alias("site"), pl.all()
        )
        for p in sorted(screen.glob("sites/bridge_*.parquet"))
    ]
    return pl.concat(tables) if tables else pl.DataFrame()


def site_page(screen: Path) -> SitePage | None:
    """What the report shows of a screen's sites; None for a screen that never had any."""
    sites, refused, compared = sites_of(screen), refusals_of(screen), screen / "sites.parquet"
    if not sites and not refused:
        return None
    withdrawn = {name for site in sites for name in site.withdrawn}
    return SitePage(
        [
            {
                **site.manifest,
                "left_out": _left_out(site),
                "plates": len(site.plates),
                "lines": len(site.lines),
                "donors": len({line.donor for line in site.lines.values()}),
            }
            for site in sites
        ],
        refused,
        [row for row in bridges_of(screen).to_dicts() if row["line"] not in withdrawn],
        read_table(compared, ScreenError).to_dicts() if compared.is_file() else [],
    )


def _left_out(site: Site) -> dict[str, int]:
    """Lines that stayed at the site by reason, and those that the hub leaves out."""
    left = dict(site.manifest["left_out"])
    if site.withdrawn:
        left["withdrawn"] = left.get("withdrawn", 0) + len(site.withdrawn)
    return left
