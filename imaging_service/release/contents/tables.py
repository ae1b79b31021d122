"""Tables of a bundle: fitted anew from what the bundle holds, and freed of what may not be shown.

The screen's own tables are not copied. Lines that stay at home weigh in its means and in the
variance that rows borrow; here a screen is made of the bundle's plates and fitted.
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from imaging_service.errors import ReleaseRefused
from imaging_service.files import write_bytes
from imaging_service.release.contents.plates import ReleasedPlate
from imaging_service.release.gate.consent import Tier
from imaging_service.release.gate.dates import holds_date, shifted
from imaging_service.release.gate.ledger import DonorRow, RefusedRow, RowCode, judge_rows
from imaging_service.release.gate.people import LADDER
from imaging_service.release.material import Material, SourceRun
from imaging_service.screens.folder import (
    TABLES,
    add_run,
    content_of,
    fit,
    read_screen_table,
    set_registry,
)
from imaging_service.store.tables import write_table
from imaging_service.web.screen_report import render_screen
from phenotypes.columns.statuses import CompoundStatus, DoseStatus
from phenotypes.screens.across.donors import DISEASE, HEALTHY
from plate_maps.registry import Batch, Line, write

# Whether a result holds when one batch is left out: where a batch is a donor's, it tells of him.
_LEAVE_ONE_OUT = ("stable",)
_LINE = ("source_tissue", "reprogramming", "site_of_onset", "mycoplasma")
_BATCH = ("protocol_doi", "protocol_version", "plating_day", "imaging_day", "coating", "purity")


@dataclass(frozen=True)
class ReleasedTables:
    """The tables by name, rows over donors that are released, and those that are not."""

    tables: Mapping[str, pl.DataFrame]
    kept: tuple[DonorRow, ...]
    refused: tuple[RefusedRow, ...]


def write_tables(
    material: Material, plates: Sequence[ReleasedPlate], bundle: Path
) -> ReleasedTables:
    """Write registry, plate map, wells and all tables of a screen; returns the tables."""
    _refuse_dates(material)
    write_bytes(bundle / "lines.tsv", write(material.exported_lines, Line).encode())
    write_bytes(bundle / "batches.tsv", write(_batches(material), Batch).encode())
    _tsv(bundle / "donors.tsv", _donors(material))
    _tsv(bundle / "compounds.tsv", _compounds(material, plates))
    _tsv(bundle / "plates.tsv", _plates(material, plates))
    wells = pl.concat([p.wells.with_columns(pl.lit(p.plate).alias("plate")) for p in plates])
    wells = wells.select("plate", pl.exclude("plate"))
    wells.write_csv(bundle / "wells.tsv", separator="\t")
    mapped = ("plate", "well", "line", "genotype", "compound", "dose_molar", "control", "batch")
    wells.select(mapped).write_csv(bundle / "plate_map.tsv", separator="\t")
    write_bytes(bundle / "screen.toml", _settings(material).encode())
    with tempfile.TemporaryDirectory() as scratch:
        screen = Path(scratch) / "screen"
        fit_bundle(bundle, screen)
        tables = {name: read_screen_table(screen, name) for name in TABLES}
        rows = donor_rows(tables, material)
        kept, refused = judge_rows(
            rows,
            material.form.tier,
            material.entries,
            material.withdrawn,
            compounds=material.compounds,
            treated=material.treated,
        )
        if not material.form.cross_donor_rows:
            kept = []
        n_withheld = len(rows) - len(kept)
        tables["compounds"] = _released(tables["compounds"], kept, material.form.tier)
        content = content_of(screen)
        shown = replace(content.tables, compounds=tables["compounds"])
        findings = list(content.findings)
        if n_withheld:
            findings.append(
                f"{n_withheld} row(s) over donors are not in this release, because they would tell"
                " of single donors or were left out: deidentification.json"
            )
        report = render_screen(replace(content, tables=shown, findings=findings))
    for name, table in tables.items():
        write_table(table, bundle / "tables" / name, csv=False)
        table.write_csv(bundle / "tables" / f"{name}.tsv", separator="\t")
    write_bytes(bundle / "report.html", report.encode())
    return ReleasedTables(tables, tuple(kept), tuple(refused))


def fit_bundle(bundle: Path, screen: Path) -> None:
    """Make a screen of a bundle's plates, registry and settings, and fit it."""
    write_bytes(screen / "screen.toml", (bundle / "screen.toml").read_bytes())
    for folder in sorted((bundle / "plates").iterdir()):
        add_run(screen, folder)
    set_registry(screen, bundle / "lines.tsv", bundle / "batches.tsv")
    fit(screen)


def donor_rows(tables: Mapping[str, pl.DataFrame], material: Material) -> list[DonorRow]:
    """Rows over donors with the laboratory's names of their donors, all disease lines first.

    A line counts where it has an effect at the dose, tested or not: more donors than the mean has
    would hide a difference, so the tested ones are taken where there is a mean.
    """
    names = {material.ids.of("line", n): n for n in material.lines}
    tested: dict[tuple[str, str, float], set[str]] = {}
    # As the mean takes them.
    tested_there = pl.col("status").is_in([DoseStatus.OK, DoseStatus.NO_VARIATION])
    usable = tested_there & (pl.col("control") == "none")
    for row in tables["doses"].filter(usable).iter_rows(named=True):
        key = (row["compound"], row["phenotype"], row["dose_molar"])
        tested.setdefault(key, set()).add(names[row["line"]])
    groups = {n: _groups(material, n) for n in material.lines}
    rows = []
    for row in tables["compounds"].iter_rows(named=True):
        key = (row["compound"], row["phenotype"], row["effect_dose_molar"])
        donors = {
            material.registry.lines[n].donor
            for n in tested.get(key, ())
            if row["group"] in groups[n]
        }
        rows.append(
            DonorRow(
                compound=row["compound"],
                phenotype=row["phenotype"],
                dose_molar=row["effect_dose_molar"],
                group=row["group"],
                donors=tuple(sorted(donors)),
            )
        )
    order = {DISEASE: 0, HEALTHY: 1}
    return sorted(rows, key=lambda r: (order.get(r.group, 2), r.compound, r.phenotype, r.group))


def _groups(material: Material, name: str) -> set[str]:
    if name in material.healthy:
        return {HEALTHY}
    line = material.exported_line(name)
    return {DISEASE, line.gene or line.genotype}


def _released(table: pl.DataFrame, kept: Iterable[DonorRow], tier: Tier) -> pl.DataFrame:
    keys = ["compound", "phenotype", "group"]
    rows = pl.DataFrame(
        [(r.compound, r.phenotype, r.group) for r in kept],
        schema=dict.fromkeys(keys, pl.String),
        orient="row",
    )
    # A status without numbers tells nothing of its donors.
    empty = table.filter(pl.col("status") == CompoundStatus.TOO_FEW_DONORS)
    shown = table.join(rows, on=keys, how="semi", maintain_order="left")
    if tier is Tier.CONTROLLED:
        shown = (
            pl.concat([shown, empty])
            .unique(keys, maintain_order=True)
            .sort("phenotype", "compound", "group")
        )
    return shown.with_columns(
        pl.lit(None, table.schema[name]).alias(name) for name in _LEAVE_ONE_OUT
    )


def _settings(material: Material) -> str:
    """The screen's settings, with all healthy lines named: ids tell nothing of health."""
    healthy = sorted(material.ids.of("line", n) for n in material.lines if n in material.healthy)
    settings = material.settings
    parts = [
        f"name = {json.dumps(material.form.title, ensure_ascii=False)}",
        f"healthy_lines = {json.dumps(healthy)}",
        f"robust_curves = {json.dumps(settings.robust_curves)}",
    ]
    for table in ("effect_dose_molar", "effect_floor"):
        values: Mapping[str, float] = getattr(settings, table)
        if table == "effect_dose_molar":
            values = {material.compounds.shown(name): dose for name, dose in values.items()}
        if values:
            parts.append(f"[{table}]")
            parts += [f"{json.dumps(k, ensure_ascii=False)} = {v!r}" for k, v in values.items()]
    return "\n".join(parts) + "\n"


def _donors(material: Material) -> list[dict[str, str]]:
    rows = []
    for donor in material.donors:
        lines = [n for n in material.lines if material.registry.lines[n].donor == donor]
        facts = material.people.facts[donor]
        rows.append(
            {
                "donor": material.ids.of("donor", donor),
                **{name: facts[name] for name in LADDER},
                "lines": str(len(lines)),
            }
        )
    return sorted(rows, key=lambda row: row["donor"])


def _refuse_dates(material: Material) -> None:
    """Refuse lines and batches with a date in a text that goes along as it is written."""
    known = material.registry.batches
    cells = [
        *(
            (f"line {name}: {key}", getattr(material.registry.lines[name], key))
            for name in material.lines
            for key in _LINE
        ),
        *(
            (f"batch {local}: {key}", getattr(known[local], key))
            for _, local in sorted(_plated(material))
            for key in _BATCH
            if local in known and key != "protocol_doi"
        ),
    ]
    dated = [f"{place} is {text!r}" for place, text in cells if holds_date(text)]
    if dated:
        raise ReleaseRefused(
            "the registry has dates, and none finer than a year may leave; count days from the"
            " start of the differentiation, or leave the date out:\n  - "
            + "\n  - ".join(dated[:20])
        )


def _plated(material: Material) -> set[tuple[str, str]]:
    """Batches of released lines: their names in the screen and in the laboratory."""
    return {
        (run.batch(b), b)
        for run in material.runs
        for b in run.wells.filter(pl.col("line").is_in(list(material.lines)))["batch"]
        if b
    }


def _batches(material: Material) -> list[Batch]:
    """Batches by their white list: no operator, lot or name."""
    known = material.registry.batches
    batches = [
        Batch(
            material.ids.of("batch", name),
            **({key: getattr(known[local], key) for key in _BATCH} if local in known else {}),
        )
        for name, local in _plated(material)
    ]
    return sorted(batches, key=lambda batch: batch.batch)


def _compounds(material: Material, plates: Sequence[ReleasedPlate]) -> list[dict[str, str]]:
    names = sorted({n for plate in plates for n in plate.wells["compound"] if n})
    rows = []
    for name in names:
        known = material.compounds.named(name)
        # A blinded code stays blind: its name would unblind the study.
        blind = known is not None and known.blinded_code == name
        rows.append(
            {
                "compound": name,
                "name": known.name if known and not blind else name,
                "inchikey": known.inchikey if known and not blind else "",
                "vendor": known.vendor if known and not blind else "",
                "salt": known.salt if known and not blind else "",
            }
        )
    return rows


def _plates(material: Material, plates: Sequence[ReleasedPlate]) -> list[dict[str, str]]:
    def acquired(run: SourceRun) -> str:
        when = material.form.acquired.get(run.plate)
        card = material.cards[run.plate]
        when = when or card.acquired
        return shifted(when, material.shift_days(run)).date().isoformat() if when else ""

    return [
        {
            "plate": plate.plate,
            "wells_released": str(len(plate.wells)),
            "wells_left_out": str(plate.n_left_out),
            "rows": str(plate.record["plate_format"]["rows"]),
            "columns": str(plate.record["plate_format"]["columns"]),
            "pixel_size_um": str(plate.record["pixel_size_um"]),
            "acquired_shifted": acquired(run),
        }
        for plate, run in zip(plates, material.runs, strict=True)
    ]


def _tsv(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else [], delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, out.getvalue().encode())


def withheld(refused: Iterable[RefusedRow]) -> list[dict[str, str]]:
    """Rows over donors that are not in the bundle, for its report: keys, code and reason."""
    shown = []
    for item in refused:
        # Which release a row would be compared with, by how many, and that somebody withdrew, is
        # the ledger's to know.
        told = item.code in (RowCode.TOO_FEW_DONORS, RowCode.NESTED)
        row = {k: str(v) for k, v in item.row.model_dump(exclude={"donors"}).items()}
        code = item.code if told else RowCode.DIFFERENCING
        shown.append({**row, "code": code.value, "reason": item.reason if told else ""})
    return shown
