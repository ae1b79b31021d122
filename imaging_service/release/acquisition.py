"""What the microscope's own files say of the acquisition, as far as repositories ask for it.

Read from Harmony's index or from OME-XML in the first TIFF of the scan. The instrument, objective
and plate type go into the release; the user, the plate's name and the date are read so that the
search of the bundle knows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element  # the type only; defusedxml parses

import tifffile

from imaging_service.errors import ReleaseRefused, damaged
from imaging_service.ingest.formats.harmony import indices
from imaging_service.ingest.formats.vendor_xml import attributes, elements, local
from imaging_service.ingest.images.scan_files import scan_files
from imaging_service.ingest.plan import Limits

# FBbi, the Biological Imaging Methods Ontology, of Harmony's and OME's words.
_METHODS = {
    "nipkowconfocal": ("spinning disk confocal microscopy", "FBbi:00000253"),
    "spinningdiskconfocal": ("spinning disk confocal microscopy", "FBbi:00000253"),
    "laserscanningconfocalmicroscopy": ("laser scanning confocal microscopy", "FBbi:00000251"),
    "nonconfocal": ("epifluorescence microscopy", "FBbi:00000243"),
    "widefield": ("epifluorescence microscopy", "FBbi:00000243"),
}


@dataclass(frozen=True)
class AcquisitionCard:
    """Instrument, objective, method and plate type; empty where the scan does not say.

    `secrets` are texts that the scan names and that no release may hold, kind ► texts.
    """

    instrument: str = ""
    objective: str = ""
    numerical_aperture: str = ""
    imaging_method: str = ""
    fbbi: str = ""
    plate_type: str = ""
    acquired: datetime | None = None
    secrets: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_card(scan: Path) -> AcquisitionCard:
    """Read a scan folder; an empty card where it is away or has no such metadata.

    Raises ReleaseRefused for metadata that cannot be read.
    """
    if not scan.is_dir():
        return AcquisitionCard()
    with damaged(ReleaseRefused, str(scan)):
        files = scan_files(scan, Limits())
        for index in indices(files).values():
            with elements(scan / index, Limits()) as parts:
                return _card(parts)
        for path in sorted(scan.rglob("*.tif*")):
            with tifffile.TiffFile(path) as opened:
                description = opened.ome_metadata
            return _card(_of_text(description)) if description else AcquisitionCard()
    return AcquisitionCard()


def _of_text(text: str) -> Iterator[tuple[str, Element]]:
    from defusedxml.ElementTree import fromstring

    for element in fromstring(text).iter():
        yield local(element.tag), element


def _card(parts: Iterator[tuple[str, Element]]) -> AcquisitionCard:
    kept: dict[str, str] = {}
    acquired: datetime | None = None
    secrets: dict[str, list[str]] = {}

    def keep(name: str, value: str) -> None:
        if value:
            kept.setdefault(name, value)

    for tag, element in parts:
        text, named = (element.text or "").strip(), attributes(element)
        if tag == "InstrumentType":
            keep("instrument", f"Revvity Operetta or Opera, {text}" if text else "")
        elif tag == "Microscope":
            keep("instrument", " ".join(filter(None, map(named.get, ("Manufacturer", "Model")))))
        elif tag == "ObjectiveMagnification":
            keep("objective", f"{text}×" if text else "")
        elif tag == "ObjectiveNA":
            keep("numerical_aperture", text)
        elif tag == "Objective":
            size = named.get("NominalMagnification", "")
            model = named.get("Model", "")
            keep("objective", f"{model} {size}×".strip() if size else model)
            keep("numerical_aperture", named.get("LensNA", ""))
        elif tag == "PlateTypeName":
            keep("plate_type", text)
        method = text if tag == "AcquisitionType" else named.get("AcquisitionMode", "")
        known = _METHODS.get(re.sub(r"[^a-z]", "", method.lower()))
        if known:
            keep("imaging_method", known[0])
            keep("fbbi", known[1])
        if tag in ("MeasurementStartTime", "AcquisitionDate") and acquired is None:
            acquired = _instant(text)
        for kind, value in _secrets(tag, text, named):
            if value and value not in secrets.setdefault(kind, []):
                secrets[kind].append(value)
    return AcquisitionCard(
        instrument=kept.get("instrument", ""),
        objective=kept.get("objective", ""),
        numerical_aperture=kept.get("numerical_aperture", ""),
        imaging_method=kept.get("imaging_method", ""),
        fbbi=kept.get("fbbi", ""),
        plate_type=kept.get("plate_type", ""),
        acquired=acquired,
        secrets={kind: tuple(values) for kind, values in secrets.items()},
    )


def _secrets(tag: str, text: str, named: dict[str, str]) -> Iterator[tuple[str, str]]:
    if tag == "User":
        yield "operator", text
    if tag == "Experimenter":
        for key in ("UserName", "FirstName", "LastName", "Email"):
            yield "operator", named.get(key, "")
    if tag in ("PlateID", "MeasurementID"):
        yield "plate name", text
    if tag == "Plate":
        for key in ("Name", "ExternalIdentifier"):
            yield "plate name", named.get(key, "")


def _instant(text: str) -> datetime | None:
    try:
        # Harmony writes seven digits of a second.
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        return None
