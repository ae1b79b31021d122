"""The bundle as a MIHCSME workbook, which OMERO's annotation tools read.

The workbook has one clone and one passage per assay, so those of each line stand with the wells.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from openpyxl import Workbook

from imaging_service.release.forms.facts import SPECIES, TAXON, BundleFacts

# Its wells are named A to P.
MOST_ROWS, MOST_CHANNELS = 16, 8
_CONDITIONS = (
    "Plate",
    "Well",
    "Treatment",
    "Dose",
    "DoseUnit",
    "CellLine",
    "Genotype",
    "Clone",
    "Passage",
    "Control",
    "Batch",
    "Status",
)


def mihcsme(facts: BundleFacts) -> bytes | None:
    """The workbook; None where a plate has more rows than MIHCSME can name."""
    if any(r["plate_format"]["rows"] > MOST_ROWS for r in facts.records.values()):
        return None
    book = Workbook(write_only=True)
    for name, groups in _sheets(facts).items():
        sheet = book.create_sheet(name)
        sheet.append([f"# {name} of a motor neuron screen"])
        sheet.append(["Group", "Key", "Value"])
        for group, values in groups.items():
            for key, value in values.items():
                sheet.append([group, key, value])
    sheet = book.create_sheet("AssayConditions")
    sheet.append(["# One row per well"])
    sheet.append(list(_CONDITIONS))
    lines = {line.line: line for line in facts.lines}
    for well in facts.wells.iter_rows(named=True):
        line = lines[well["line"]]
        sheet.append(
            [
                well["plate"],
                well["well"],
                _safe(well["compound"]),
                repr(well["dose_molar"]),
                "mol/L",
                line.line,
                _safe(line.genotype),
                line.clone,
                line.passage,
                well["control"],
                well["batch"],
                well["status"],
            ]
        )
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _safe(text: str | None) -> str:
    """Text that no spreadsheet runs as a formula."""
    return f"'{text}" if text and text[0] in "=+-@" else text or ""


def _sheets(facts: BundleFacts) -> dict[str, dict[str, dict[str, Any]]]:
    form, card = facts.form, facts.form.acquisition
    owner = form.authors[0]
    channels: dict[str, str] = {}
    for number, stain in enumerate(card.channels[:MOST_CHANNELS], start=1):
        channels |= {
            f"Channel {number} visualization method": " ".join(
                filter(None, (stain.fluorophore, stain.antibody_rrid))
            ),
            f"Channel {number} entity": stain.target,
            f"Channel {number} label": stain.channel,
            f"Channel {number} id": str(number),
        }
    return {
        "InvestigationInformation": {
            "DataOwner": _filled(
                {
                    "First Name": owner.first_name,
                    "Last Name": owner.last_name,
                    "Institute": owner.affiliation,
                    "E-Mail Address": owner.email,
                    "ORCID investigator": owner.orcid,
                }
            ),
            "InvestigationInfo": _filled(
                {
                    "Project ID": form.program,
                    "Investigation Title": form.title,
                    "Investigation description": form.description,
                }
            ),
        },
        "StudyInformation": {
            "Study": {
                "Study Title": form.title,
                "Study Description": form.description,
                "Study Key Words": ", ".join(form.keywords),
            },
            "Biosample": {
                "Biosample Taxon": TAXON,
                "Biosample description": "motor neurons from induced pluripotent stem cells",
                "Biosample Organism": SPECIES,
                "Number of cell lines used": str(len(facts.lines)),
            },
            "Protocols": {
                "growth protocol": form.growth_protocol,
                "HCS data analysis protocol": facts.engines,
            },
            "Plate": _filled(
                {
                    "Plate type": card.plate_type,
                    "Plate type Manufacturer": card.plate_manufacturer,
                    "Plate type Catalog number": card.plate_catalogue,
                }
            ),
        },
        "AssayInformation": {
            "Assay": {
                "Assay Title": form.title,
                "Assay Description": form.description,
                "Number of plates": str(len(facts.records)),
                "Assay Technology Type": f"{card.imaging_method} ({card.fbbi})",
                "Assay Type": "cell phenotyping",
            },
            "AssayComponent": {
                "Imaging protocol": facts.acquisition,
                "Sample preparation protocol": form.sample_preparation,
            },
            "ImageData": _image_data(facts),
            "ImageAcquisition": {"Microscope id": card.instrument},
            "Specimen": _filled(channels),
        },
    }


def _image_data(facts: BundleFacts) -> dict[str, str]:
    images: Mapping[str, Any] = next((i for i in facts.images.values() if i), {})
    if not images:
        return {}
    shape = images["shape"]
    return {
        "Image number of pixelsX": str(shape[-1]),
        "Image number of pixelsY": str(shape[-2]),
        "Image number of channels": str(len(images["channels"])),
        "Image number of timepoints": str(shape[0] if len(shape) > 3 else 1),
        "Image sites per well": str(images["fields"]),
    }


def _filled(values: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}
