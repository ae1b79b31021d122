"""The bundle in the form of the BioImage Archive: a crate of its own terms and a list of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from imaging_service.release.forms.facts import SPECIES, TAXON, BundleFacts

BIA = "http://bia/"
_CONTEXT: Mapping[str, Any] = {
    "bia": BIA,
    "schema": "http://schema.org/",
    "csvw": "http://www.w3.org/ns/csvw#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "contributor": {"@id": "schema:author"},
    "displayName": {"@id": "schema:name"},
    "contactEmail": {"@id": "schema:email"},
    "title": {"@id": "schema:name"},
    "keyword": {"@id": "schema:keywords"},
    "protocolDescription": {"@id": "schema:description"},
    "imagingInstrumentDescription": {"@id": "bia:imagingInstrumentDescription"},
    "imagingMethodName": {"@id": "bia:imagingMethodName"},
    "fbbiId": {"@id": "bia:fbbiId"},
    "featuresAnalysed": {"@id": "bia:featuresAnalysed"},
    "biologicalEntityDescription": {"@id": "bia:biologicalEntityDescription"},
    "intrinsicVariableDescription": {"@id": "bia:intrinsicVariableDescription"},
    "experimentalVariableDescription": {"@id": "bia:experimentalVariableDescription"},
    "organismClassification": {"@id": "schema:taxonomicRange"},
    "scientificName": {"@id": "http://rs.tdwg.org/dwc/terms/scientificName"},
    "signalChannelInformation": {"@id": "bia:signalChannelInformation"},
    "signalContrastMechanismDescription": {"@id": "bia:signalContrastMechanismDescription"},
    "channelContentDescription": {"@id": "bia:channelContentDescription"},
    "methodType": {"@id": "bia:annotationMethodType"},
    "associatedImageAcquisitionProtocol": {"@id": "bia:associatedImageAcquisitionProtocol"},
    "associatedSpecimenImagingPreparationProtocol": {
        "@id": "bia:associatedImagingPreparationProtocol"
    },
    "associatedImageAnalysisMethod": {"@id": "bia:associatedAnalysisMethod"},
    "associatedAnnotationMethod": {"@id": "bia:associatedAnnotationMethod"},
    "associatedBiologicalEntity": {"@id": "bia:associatedBiologicalEntity"},
    "tableSchema": {"@id": "csvw:tableSchema"},
    "column": {"@id": "csvw:column"},
    "columnName": {"@id": "csvw:name"},
    "propertyUrl": {"@id": "csvw:propertyUrl"},
}
_COLUMNS = (
    ("file_path", "bia:filePath"),
    ("size_in_bytes", "bia:sizeInBytes"),
    ("dataset", "schema:isPartOf"),
    ("type", "rdf:type"),
)
_IMAGES, _LABELS, _TABLES = "#Images", "#Labels", "#Tables"


def bia_crate(facts: BundleFacts) -> dict[str, Any]:
    """`ro-crate-metadata.json` of the folder `forms/bia`."""
    form, card = facts.form, facts.form.acquisition
    authors = [
        {
            "@id": a.orcid or f"#{quote(f'{a.first_name} {a.last_name}')}",
            "@type": ["Person", "bia:Contributor"],
            "displayName": f"{a.first_name} {a.last_name}",
            "contactEmail": a.email,
        }
        for a in form.authors
    ]
    samples = [
        {
            "@id": f"#{line.line}",
            "@type": ["bia:BioSample"],
            "title": line.line,
            "biologicalEntityDescription": "motor neurons from induced pluripotent stem cells",
            "intrinsicVariableDescription": [line.genotype] if line.genotype else [],
            "experimentalVariableDescription": ["compound and dose, see plate_map.tsv"],
            "organismClassification": [{"@id": TAXON}],
        }
        for line in facts.lines
    ]
    datasets = [
        _dataset(_TABLES, "Tables", {}),
        *[_dataset(_IMAGES, "Images", _image_links(facts))] * facts.imaged,
        *[_dataset(_LABELS, "Label images", {"associatedAnnotationMethod": ["#Segmentation"]})]
        * facts.imaged,
    ]
    graph: list[dict[str, Any]] = [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        {
            "@id": "./",
            "@type": ["Dataset", "bia:Study"],
            "name": form.title,
            "description": form.description,
            "license": facts.licence,
            "datePublished": form.release_date.isoformat(),
            "keyword": list(form.keywords),
            "contributor": [{"@id": a["@id"]} for a in authors],
            "hasPart": [{"@id": "file_list.tsv"}, *({"@id": d["@id"]} for d in datasets)],
        },
        *authors,
        *datasets,
        {"@id": TAXON, "@type": ["bia:Taxon"], "scientificName": SPECIES},
        *samples,
        {
            "@id": "#Preparation",
            "@type": ["bia:SpecimenImagingPreparationProtocol"],
            "title": "Preparation",
            "protocolDescription": f"{form.growth_protocol}; {form.sample_preparation}",
            "signalChannelInformation": [{"@id": f"#Channel-{s.channel}"} for s in card.channels],
        },
        *(
            {
                "@id": f"#Channel-{s.channel}",
                "@type": ["bia:SignalChannelInformation"],
                "channelContentDescription": s.target,
                "signalContrastMechanismDescription": " ".join(
                    filter(None, (s.fluorophore, s.antibody_rrid))
                ),
            }
            for s in card.channels
        ),
        {
            "@id": "#Acquisition",
            "@type": ["bia:ImageAcquisitionProtocol"],
            "title": card.imaging_method,
            "protocolDescription": facts.acquisition,
            "imagingInstrumentDescription": card.instrument,
            "imagingMethodName": [card.imaging_method],
            "fbbiId": [card.fbbi],
        },
        {
            "@id": "#Analysis",
            "@type": ["bia:ImageAnalysisMethod"],
            "title": "Image analysis",
            "protocolDescription": facts.engines,
            "featuresAnalysed": ", ".join(facts.phenotypes),
        },
        {
            "@id": "#Segmentation",
            "@type": ["bia:AnnotationMethod"],
            "title": "Segmentation",
            "protocolDescription": facts.engines,
            "methodType": ["segmentation_mask"],
        },
        *_file_list(),
    ]
    return {"@context": ["https://w3id.org/ro/crate/1.1/context", _CONTEXT], "@graph": graph}


def _dataset(name: str, title: str, links: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    return {
        "@id": name,
        "@type": ["bia:Dataset", "Dataset"],
        "name": title,
        **{key: [{"@id": target} for target in targets] for key, targets in links.items()},
    }


def _image_links(facts: BundleFacts) -> dict[str, list[str]]:
    return {
        "associatedImageAcquisitionProtocol": ["#Acquisition"],
        "associatedSpecimenImagingPreparationProtocol": ["#Preparation"],
        "associatedImageAnalysisMethod": ["#Analysis"],
        "associatedBiologicalEntity": [f"#{line.line}" for line in facts.lines],
    }


def _file_list() -> list[dict[str, Any]]:
    return [
        {
            "@id": "file_list.tsv",
            "@type": ["File", "bia:FileList", "csvw:Table"],
            "tableSchema": {"@id": "_:schema"},
        },
        {
            "@id": "_:schema",
            "@type": ["csvw:Schema"],
            "column": [{"@id": f"_:{name}"} for name, _ in _COLUMNS],
        },
        *(
            {
                "@id": f"_:{name}",
                "@type": ["csvw:Column"],
                "columnName": name,
                "propertyUrl": url.replace("bia:", BIA)
                .replace("schema:", "http://schema.org/")
                .replace("rdf:", str(_CONTEXT["rdf"])),
            }
            for name, url in _COLUMNS
        ),
    ]


def file_list(bundle: Path) -> str:
    """`file_list.tsv`: one row per table, and one per image, which is a folder in OME-Zarr."""
    rows = ["\t".join(name for name, _ in _COLUMNS)]
    for store in sorted(bundle.glob("plates/*/*.zarr")):
        dataset = _IMAGES if store.name == "plate.zarr" else _LABELS
        kind = "Image" if dataset == _IMAGES else "AnnotationData"
        size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
        rows.append(f"{store.relative_to(bundle).as_posix()}\t{size}\t{dataset}\t{BIA}{kind}")
    for path in sorted(bundle.rglob("*")):
        inside = any(part.endswith(".zarr") for part in path.relative_to(bundle).parts)
        if path.is_file() and not inside:
            name = path.relative_to(bundle).as_posix()
            rows.append(f"{name}\t{path.stat().st_size}\t{_TABLES}\t")
    return "\n".join(rows) + "\n"
