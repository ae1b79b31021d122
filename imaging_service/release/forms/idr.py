"""Columns of the Image Data Resource's template for screens: a study file and a processed file."""

from __future__ import annotations

from imaging_service.release.forms.facts import SPECIES, BundleFacts

_CONTROLS = {"vehicle": "vehicle control", "positive": "positive control"}
_CONTROLS["negative"] = "negative control"


def idr_study(facts: BundleFacts) -> str:
    """Keys and values of the study file, one per line, separated by tabs."""
    form, card = facts.form, facts.form.acquisition
    rows = [
        ("Study Title", form.title),
        ("Study Description", form.description),
        ("Study Key Words", *form.keywords),
        ("Study Organism", SPECIES),
        ("Study Public Release Date", form.release_date.isoformat()),
        ("Study License", form.licence),
        ("Study License URL", facts.licence),
        ("Study Author List", ", ".join(f"{a.last_name} {a.first_name}" for a in form.authors)),
        ("Study Person Last Name", *(a.last_name for a in form.authors)),
        ("Study Person First Name", *(a.first_name for a in form.authors)),
        ("Study Person Email", *(a.email for a in form.authors)),
        ("Comment[IDR Screen Name]", form.title),
        ("Screen Imaging Method", card.imaging_method),
        ("Screen Imaging Method Term Accession", card.fbbi),
        ("Protocol Type", "growth protocol", "data analysis protocol"),
        ("Protocol Description", form.growth_protocol, facts.engines),
        ("Processed Data File", "forms/idr_processed.tsv"),
        ("Feature Level Data File", "plates/PLATE/cells.parquet"),
    ]
    return "\n".join("\t".join(map(_cell, row)) for row in rows) + "\n"


def idr_processed(facts: BundleFacts) -> str:
    """One row per well, with the template's columns and the phenotypes."""
    lines = {line.line: line for line in facts.lines}
    names = [n for n in facts.phenotypes if n in facts.wells.columns]
    header = [
        "Plate",
        "Well",
        "Characteristics [Organism]",
        "Characteristics [Cell Line or Strain]",
        "Characteristics [Genotype]",
        "Reagent Identifier",
        "Experimental Condition [Dose, mol/L]",
        "Control Type",
        "Channels",
        "Quality Control",
        *names,
    ]
    rows = [header]
    for well in facts.wells.iter_rows(named=True):
        failed = well["reason"] if well["status"] != "done" else ""
        rows.append(
            [
                well["plate"],
                well["well"],
                SPECIES,
                well["line"],
                lines[well["line"]].genotype,
                well["compound"],
                repr(well["dose_molar"]),
                _CONTROLS.get(well["control"], ""),
                facts.staining,
                f"{well['status']}: {failed}" if failed else well["status"],
                *("" if well[n] is None else repr(well[n]) for n in names),
            ]
        )
    return "\n".join("\t".join(map(_cell, row)) for row in rows) + "\n"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split())
