"""The bundle as a `Dataset` record of AMP ALS (model of July 2026), by names and allowed values.

The model lets unknown fields pass, so the schema here, written from its names, forbids them: what
has no target term stands in `forms/no_target_term.tsv` and nowhere in the record.
"""

from __future__ import annotations

from typing import Any

from imaging_service.release.forms.facts import SPECIES, BundleFacts
from imaging_service.release.gate.consent import Tier
from plate_maps.consent import DUO

_SUBTYPES = {
    "SOD1": "SOD1",
    "FUS": "FUS",
    "TARDBP": "TARDBP",
    "C9orf72": "C9-ALS",
    "TBK1": "TBK1-ALS",
    "OPTN": "OPTN-ALS",
    "VCP": "VCP-ALS",
    "NEK1": "NEK1-ALS",
    "UBQLN2": "UBQLN2-ALS",
    "PFN1": "PFN1-ALS",
    "ATXN2": "ATXN2-ALS",
}
_MODIFIERS = ("GRU", "HMB", "DS", "NCU", "NPUNCU", "US")
_PROGRAMS = ("AMP ALS", "Answer ALS", "Target ALS")
_STAINED, _PAINTED = "immunofluorescence", "cell painting"


def _list_of(*allowed: str) -> dict[str, Any]:
    return {"type": "array", "items": {"enum": list(allowed)}, "uniqueItems": True}


SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "additionalProperties": False,
    "required": [
        "title",
        "keywords",
        "cohortType",
        "cohort_count",
        "study_count",
        "originalRepository",
    ],
    "properties": {
        "title": {"type": "string", "minLength": 1},
        "keywords": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "cohortType": _list_of("In-Vitro-Experimental", "Case-Control"),
        "cohort_count": {"type": "integer", "minimum": 1},
        "study_count": {"type": "integer", "minimum": 1},
        "originalRepository": _list_of("Synapse"),
        "participant_count": {"type": "integer", "minimum": 1},
        "disease": _list_of("ALS", "FTD", "Control"),
        "diseaseSubtype": _list_of("sporadic ALS", *_SUBTYPES.values()),
        "assay": _list_of("high content screen", _STAINED, _PAINTED, "cell viability assay"),
        "biospecimenType": _list_of("ipsc", "motor_neuron"),
        "cellType": _list_of("motor_neuron", "iPSC", "differentiated_cell"),
        "species": _list_of(SPECIES),
        "dataUseModifiers": _list_of(*_MODIFIERS, "open", "controlled", "private", "embargo"),
        "curationLevel": _list_of("Raw", "Processed", "Analyzed"),
        "program": _list_of(*_PROGRAMS),
        "studyType": _list_of("experimental study"),
        "datePublished": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
        "creator": {"type": "array", "items": {"type": "string"}},
        "funder": {"type": "array", "items": {"type": "string"}},
    },
}


def amp_als(facts: BundleFacts) -> dict[str, Any]:
    """The record; a field without an allowed value is left out."""
    form = facts.form
    sick = [line for line in facts.lines if line.line not in facts.healthy]
    genes = {line.gene for line in sick if line.gene}
    subtypes = {_SUBTYPES[g] for g in genes if g in _SUBTYPES}
    if any(line.genotype == "sporadic" for line in sick):
        subtypes.add("sporadic ALS")
    well = len(sick) < len(facts.lines)
    short = {code: name for name, code in DUO.items()}
    modifiers = sorted({short[c] for c in facts.duo} & set(_MODIFIERS))
    repository = {"originalRepository": ["Synapse"]} if form.repository == "Synapse" else {}
    program = {"program": [form.program]} if form.program in _PROGRAMS else {}
    return {
        "title": form.title,
        "keywords": list(form.keywords),
        "cohortType": ["In-Vitro-Experimental", *["Case-Control"] * (well and bool(sick))],
        "cohort_count": int(well) + int(bool(sick)),
        "study_count": 1,
        **repository,
        "participant_count": facts.n_donors,
        "disease": [*["ALS"] * bool(sick), *["Control"] * well],
        "diseaseSubtype": sorted(subtypes),
        "assay": ["high content screen"],
        "biospecimenType": ["ipsc", "motor_neuron"],
        "cellType": ["motor_neuron"],
        "species": [SPECIES],
        "dataUseModifiers": [*modifiers, "open" if form.tier is Tier.OPEN else "controlled"],
        "curationLevel": [*["Raw"] * facts.imaged, "Processed", "Analyzed"],
        **program,
        "studyType": ["experimental study"],
        "datePublished": form.release_date.isoformat(),
        "creator": [f"{a.first_name} {a.last_name}" for a in form.authors],
        **({"funder": [form.funding]} if form.funding else {}),
    }


def no_target_term(facts: BundleFacts) -> list[dict[str, str]]:
    """What the record cannot say, and the file of the bundle that says it."""
    rows = [
        ("plate, well, field", "plate_map.tsv"),
        ("compound, dose, unit", "plate_map.tsv"),
        ("channel, pixel size, objective", "forms/rembi.json"),
        ("clone, passage, isogenic parent, edit", "lines.tsv"),
        ("differentiation batch, protocol", "batches.tsv"),
        (
            "variant, zygosity, repeat class",
            "donors.tsv, as far as deidentification.json leaves it",
        ),
        ("phenotype, EC50, hazard ratio, quality control", "tables/"),
        ("label version", "plates/PLATE/run.json"),
        ("Parquet, OME-Zarr as file formats", "plates/"),
    ]
    short = {code: name for name, code in DUO.items()}
    rows += [
        (f"data use code {short[code]} ({code})", "lines.tsv")
        for code in facts.duo
        if short[code] not in _MODIFIERS
    ]
    if facts.form.repository != "Synapse":
        rows.append((f"repository {facts.form.repository}", "ro-crate-metadata.json"))
    if facts.form.program and facts.form.program not in _PROGRAMS:
        rows.append((f"program {facts.form.program}", "ro-crate-metadata.json"))
    return [{"form": "AMP ALS Dataset", "fact": fact, "stands_in": place} for fact, place in rows]
