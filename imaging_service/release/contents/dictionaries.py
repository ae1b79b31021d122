"""Dictionaries of a bundle: what each column means, and what each number was made with."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from phenotypes.columns.column import Level
from phenotypes.columns.dictionary import COLUMNS

# Where the tables of each level lie in a bundle.
_FILES: Mapping[Level, str] = {
    "well": "wells.tsv and plates/PLATE/wells",
    "cell": "plates/PLATE/cells",
    "field": "plates/PLATE/fields",
    "track": "plates/PLATE/tracks",
    "quality": "plates/PLATE/quality",
    "screen": "tables/responses",
    "dose": "tables/doses",
    "compound": "tables/compounds",
    "window": "tables/windows",
    "vehicle": "tables/vehicles",
    "hazard": "tables/hazards",
}
_REMOVED = "Removed from every release: always empty."
# File ► column ► meaning, of the tables that are not of this service's analysis.
_REGISTRY: Mapping[str, Mapping[str, str]] = {
    "lines.tsv": {
        "line": "Id of the cell line in this release.",
        "donor": "Id of the person that it is from: lines of one donor are one person.",
        "genotype": "As far as deidentification.json leaves it; corrected, or healthy.",
        "gene": "Gene of a disease line; empty for healthy and corrected lines.",
        "sporadic": _REMOVED,
        "disease": _REMOVED,
        "sex": "As far as deidentification.json leaves it.",
        "age_at_sampling": "Years, as a range.",
        "age_at_onset": "Years, as a range.",
        "site_of_onset": "Where the disease began: bulbar, spinal …",
        "source_tissue": "What was reprogrammed.",
        "reprogramming": "How it was reprogrammed.",
        "clone": "Id of the clone in this release.",
        "passage": "Passage at use.",
        "mycoplasma": "Result of the test.",
        "isogenic_parent": "Line that this one was edited from, where it is released too.",
        "consent": "Data use codes (DUO): what data of this line may be used for.",
        "consent_scope": "How far the consent lets data travel: open or controlled.",
        "withdrawn": "Always empty: lines of donors who have withdrawn are not released.",
        "country": "ISO 3166 code of two letters.",
        **dict.fromkeys(
            ("hgvs", "zygosity", "repeat_class", "karyotype", "karyotype_year", "str_profile"),
            _REMOVED,
        ),
        **dict.fromkeys(("edit", "hpscreg", "rrid", "bank"), _REMOVED),
    },
    "donors.tsv": {
        "donor": "Id of the person in this release.",
        "age_at_onset": "Years, as a range.",
        "age_at_sampling": "Years, as a range.",
        "country": "ISO 3166 code of two letters, or the continent.",
        "genotype": "Of the person: as a corrected line was before.",
        "reprogramming": "How the person's cells were reprogrammed.",
        "sex": "As far as deidentification.json leaves it.",
        "site_of_onset": "Where the disease began.",
        "source_tissue": "What was reprogrammed.",
        "lines": "Number of the person's lines in this release.",
    },
    "batches.tsv": {
        "batch": "Id of the differentiation batch in this release.",
        "protocol_doi": "Protocol of the differentiation.",
        "protocol_version": "Its version.",
        "plating_day": "Day of plating, from the start of the differentiation.",
        "imaging_day": "Day of imaging, from the start of the differentiation.",
        "coating": "Coating of the plate.",
        "purity": "Share of motor neurons.",
        **dict.fromkeys(("cryo_lot", "media_lots", "operator"), _REMOVED),
    },
    "compounds.tsv": {
        "compound": "As in all other tables.",
        "name": "Name, where it is not blinded.",
        "inchikey": "Structure.",
        "vendor": "Vendor.",
        "salt": "Salt form.",
    },
    "plates.tsv": {
        "plate": "Id of the plate in this release, and name of its folder.",
        "wells_released": "Wells that the bundle has.",
        "wells_left_out": "Wells of lines that are not released.",
        "rows": "Rows of the plate's format.",
        "columns": "Columns of the plate's format.",
        "pixel_size_um": "µm per pixel at full resolution.",
        "acquired_shifted": "Day of the first image, moved back by a secret number of days.",
    },
}


def bundle_columns() -> str:
    """All columns of a bundle's tables, with the files that have them.

    A column of cells or wells that a plate's channels do not give is not in the plate's table.
    """
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(["file", "table", "column", "unit", "type", "meaning", "compared_as"])
    writer.writerows(_rows())
    return out.getvalue()


def _rows() -> Iterator[list[str]]:
    for file, meanings in _REGISTRY.items():
        for name, meaning in meanings.items():
            yield [file, file.removesuffix(".tsv"), name, "", "String", meaning, ""]
    for c in COLUMNS:
        if c.level in _FILES:
            file = _FILES[c.level]
            yield [file, c.level, c.name, c.unit, str(c.dtype), c.meaning, c.scale or ""]


def models_dictionary(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Engine, weights' digest, thresholds, parameters and package versions, by plate.

    Fields are segmented with seed 0; two analyses of one plate give the same tables, byte for byte.
    """
    plates = {
        plate: {
            "engine": record["engine"],
            "thresholds": record["thresholds"],
            "pixel_size_um": record["pixel_size_um"],
            "parameters": record["inputs"]["protocol"],
            "protocol": record["protocol_digest"],
            "software_version": record["software_version"],
            "packages": record["packages"],
            "seed": 0,
        }
        for plate, record in sorted(records.items())
    }
    return json.dumps({"plates": plates}, indent=1, ensure_ascii=False)
