"""The bundle as REMBI and MIFA describe it (models of rembi-mifa 0.1.2)."""

from __future__ import annotations

from typing import Any

from imaging_service.release.forms.facts import SPECIES, TAXON, BundleFacts

_MIFA_LICENCES = {"CC0-1.0": "CC0", "CC-BY-4.0": "CC_BY"}


def rembi(facts: BundleFacts) -> dict[str, Any]:
    """Study, study component, biosamples, specimen, acquisition and analysis, by model."""
    form, card = facts.form, facts.form.acquisition
    return {
        "Study": {
            "title": form.title,
            "description": form.description,
            "private_until_date": form.release_date.isoformat(),
            "keywords": ", ".join(form.keywords),
            "authors": [
                {
                    "first_name": a.first_name,
                    "last_name": a.last_name,
                    "email": a.email,
                    "orcid": a.orcid or None,
                    "affiliation": {"name": a.affiliation, "url": a.affiliation_url},
                }
                for a in form.authors
            ],
            "license": form.licence,
            **({"funding": {"funding_statement": form.funding}} if form.funding else {}),
        },
        "StudyComponent": {
            "name": "Motor neuron screen",
            "description": f"{len(facts.records)} plates, {len(facts.lines)} lines of"
            f" {facts.n_donors} donors; phenotypes {', '.join(facts.phenotypes)}",
        },
        "Biosample": [
            {
                "organism": {"scientific_name": SPECIES, "ncbi_taxon": TAXON},
                "biological_entity": "motor neurons from induced pluripotent stem cells",
                "description": f"line {line.line}",
                "intrinsic_variables": line.genotype or None,
                "experimental_variables": "compound and dose, see plate_map.tsv",
            }
            for line in facts.lines
        ],
        "Specimen": {
            "sample_preparation": f"{form.sample_preparation} Channels: {facts.staining}",
            "growth_protocol": form.growth_protocol,
        },
        "ImageAcquisition": {
            "imaging_method": {
                "value": card.imaging_method,
                "ontology_name": "FBbi",
                "ontology_id": card.fbbi,
            },
            "imaging_instrument": card.instrument,
            "image_acquisition_parameters": facts.acquisition,
        },
        "ImageAnalysis": {
            "analysis_overview": f"Segmented and measured by {facts.engines}; parameters in"
            " dictionaries/models.json, columns in dictionaries/columns.tsv"
        },
    }


def mifa(facts: BundleFacts) -> dict[str, Any] | None:
    """The label images as MIFA's annotations.

    None without labels, or under a licence for which MIFA has no term.
    """
    form = facts.form
    labels = sorted({n for images in facts.images.values() for n in images.get("labels", ())})
    if not labels or form.licence not in _MIFA_LICENCES:
        return None
    return {
        "title": form.title,
        "description": form.description,
        "license": _MIFA_LICENCES[form.licence],
        "funding_statement": form.funding or "none stated",
        "keywords": list(form.keywords),
        "annotations": [
            {
                "annotation_overview": f"Label images of {', '.join(labels)} of every field",
                "annotation_type": ["segmentation_mask"],
                "annotation_method": f"Segmented by {facts.engines}; corrected labels have a"
                " label_version above 1 in run.json",
                "annotation_criteria": "dictionaries/models.json",
                "annotation_coverage": "all released wells",
            }
        ],
    }
