"""`ro-crate-metadata.json`: the bundle as an RO-Crate 1.1 with the Process Run Crate profile 0.5.

1.1, because the profile's validator refuses later versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from imaging_service.release.forms.facts import BundleFacts
from plate_maps.consent import DUO

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_KINDS = {
    ".tsv": "text/tab-separated-values",
    ".csv": "text/csv",
    ".json": "application/json",
    ".html": "text/html",
    ".parquet": "application/vnd.apache.parquet",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".toml": "application/toml",
    ".md": "text/markdown",
    ".txt": "text/plain",
}
_SOFTWARE = "#motor-neuron-imaging-service"


def ro_crate(facts: BundleFacts, bundle: Path, *, claim: bool = True) -> dict[str, Any]:
    """The crate of a bundle whose other files are written.

    `claim` says that it conforms to the profile: kept only where the profile's validator agreed.
    """
    form = facts.form
    files = list(_parts(bundle))
    authors = [
        {
            "@id": a.orcid or f"#{quote(f'{a.first_name} {a.last_name}')}",
            "@type": "Person",
            "name": f"{a.first_name} {a.last_name}",
            "affiliation": {"@id": a.affiliation_url},
        }
        for a in form.authors
    ]
    places = {a.affiliation_url: a.affiliation for a in form.authors}
    duo = {code: name for name, code in DUO.items()}
    codes = [
        {
            "@id": f"http://purl.obolibrary.org/obo/{code.replace(':', '_')}",
            "@type": "DefinedTerm",
            "name": f"DUO {duo[code]}",
            "termCode": code,
        }
        for code in facts.duo
    ]
    versions = sorted({str(r["software_version"]) for r in facts.records.values()})
    results = [part for part in files if part["@id"].startswith("tables/")]
    sources = [part for part in files if part["@id"].startswith("plates/")]
    graph: list[dict[str, Any]] = [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": form.title,
            "description": form.description,
            "keywords": ", ".join(form.keywords),
            "datePublished": form.release_date.isoformat(),
            "license": {"@id": _licence(facts)},
            "publisher": {"@id": "#publisher"},
            "author": [{"@id": a["@id"]} for a in authors],
            **({"conformsTo": [{"@id": PROFILE}]} if claim else {}),
            "mentions": [{"@id": "#analysis"}],
            "usageInfo": [{"@id": code["@id"]} for code in codes],
            "hasPart": [{"@id": part["@id"]} for part in files],
        },
        {
            "@id": PROFILE,
            "@type": "CreativeWork",
            "name": "Process Run Crate",
            "version": "0.5",
        },
        {
            "@id": _licence(facts),
            "@type": "CreativeWork",
            "name": form.licence,
            "description": f"Use under {form.licence}; see the data use codes of each line",
        },
        {"@id": "#publisher", "@type": "Organization", "name": form.publisher},
        *({"@id": url, "@type": "Organization", "name": name} for url, name in places.items()),
        *authors,
        *codes,
        {
            "@id": _SOFTWARE,
            "@type": "SoftwareApplication",
            "name": "motor neuron imaging service",
            "softwareVersion": ", ".join(versions),
        },
        {
            "@id": "#analysis",
            "@type": "CreateAction",
            "name": "Dose-response analysis of the released plates",
            "description": facts.engines,
            "instrument": {"@id": _SOFTWARE},
            "agent": {"@id": "#publisher"},
            "object": [{"@id": part["@id"]} for part in sources],
            "result": [{"@id": part["@id"]} for part in results],
            "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
        },
        *files,
    ]
    return {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}


def _licence(facts: BundleFacts) -> str:
    return facts.licence if facts.licence.startswith("https://") else "#controlled-access"


def _parts(bundle: Path) -> Iterable[dict[str, Any]]:
    """Files and image stores of the bundle, as entities."""
    for path in sorted(bundle.rglob("*")):
        name = path.relative_to(bundle).as_posix()
        zarr = [part for part in Path(name).parts if part.endswith(".zarr")]
        if path.is_dir() and zarr and path.name == zarr[0]:
            yield {
                "@id": f"{name}/",
                "@type": "Dataset",
                "name": name,
                "description": "images" if path.name == "plate.zarr" else "label images",
                "encodingFormat": "OME-Zarr 0.5",
            }
        elif path.is_file() and not zarr and name != "ro-crate-metadata.json":
            yield {
                "@id": name,
                "@type": "File",
                "name": name,
                "encodingFormat": _KINDS[path.suffix],
                "contentSize": str(path.stat().st_size),
            }


def claims_profile(crate: Mapping[str, Any]) -> bool:
    """Whether a crate says that it conforms to the Process Run Crate profile."""
    roots = [e for e in crate.get("@graph", ()) if e.get("@id") == "./"]
    return any({"@id": PROFILE} in (root.get("conformsTo") or ()) for root in roots)
