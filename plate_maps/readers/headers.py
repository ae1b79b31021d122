"""What a column, block or layer of a plate map holds, by the words that labs write over it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from plate_maps.conditions import molar_factor
from plate_maps.names import tidy

# The words that labs write over the columns ► our names.
HEADERS: dict[str, str] = {
    "well": "well",
    "well_id": "well",
    "wellid": "well",
    "well_name": "well",
    "position": "well",
    "well_position": "well",
    "row": "row",
    "col": "column",
    "column": "column",
    "line": "line",
    "cell_line": "line",
    "cellline": "line",
    "line_id": "line",
    "cell_line_id": "line",
    "genotype": "genotype",
    "mutation": "genotype",
    "compound": "compound",
    "drug": "compound",
    "treatment": "compound",
    "compound_name": "compound",
    "dose": "dose",
    "concentration": "dose",
    "conc": "dose",
    "final_conc": "dose",
    "final_concentration": "dose",
    "unit": "unit",
    "units": "unit",
    "dose_unit": "unit",
    "concentration_unit": "unit",
    "control": "control",
    "control_type": "control",
    "well_type": "control",
    "role": "control",
    "plate": "plate",
    "barcode": "plate",
    "plate_barcode": "plate",
    "assay_plate_barcode": "plate",
    "metadata_plate": "plate",
    "plate_map_name": "plate_map_name",
    "batch": "batch",
    "differentiation_batch": "batch",
    "differentiation": "batch",
    "replicate": "replicate",
    "rep": "replicate",
    # JUMP and Broad platemaps
    "broad_sample": "compound",
    "mmoles_per_liter": "dose_mm",
    "solvent": "solvent",
    "pert_type": "control",
}
_WITH_UNIT = re.compile(r"^(.*?)\s*[(\[]\s*([^)\]]+?)\s*[)\]]\s*$")
# "dose_uM", "conc in nM"
_ENDS_IN_UNIT = re.compile(r"^(.+?)_(?:in_)?(m|mm|um|µm|μm|nm|pm)$", re.IGNORECASE)

# "compound2", "drug B", "dose 2", "second compound", "unit_2": one of several in the same well.
_COMPOUND = r"(?:compound|drug|treatment|cmpd|inhibitor|agent)(?:_name)?"
_DOSE = r"(?:dose|concentration|conc|final_conc|final_concentration)"
_UNIT = r"(?:unit|units|dose_unit|concentration_unit)"
_COUNTS = {
    "1": 1,
    "a": 1,
    "i": 1,
    "one": 1,
    "first": 1,
    "1st": 1,
    "primary": 1,
    "2": 2,
    "b": 2,
    "ii": 2,
    "two": 2,
    "second": 2,
    "2nd": 2,
    "secondary": 2,
    "3": 3,
    "c": 3,
    "iii": 3,
    "three": 3,
    "third": 3,
    "3rd": 3,
    "4": 4,
    "d": 4,
    "iv": 4,
    "four": 4,
    "fourth": 4,
    "4th": 4,
}
_ORDINARY = "|".join(sorted(_COUNTS, key=len, reverse=True))
_NUMBERED = tuple(
    (re.compile(pattern), name)
    for name, word in (("compound", _COMPOUND), ("unit", _UNIT), ("dose", _DOSE))
    for pattern in (
        rf"{word}_?(?P<count>{_ORDINARY})",
        rf"(?P<count>{_ORDINARY})_?{word}",
        rf"{_COMPOUND}_?(?P<count>{_ORDINARY})_{word}",
    )
)

# Words of a header that name something done to the cells. Where it differs between wells of a line,
# their difference is the treatment's and not the compound's.
_TREATMENTS = frozenset(
    [
        "sirna",
        "shrna",
        "sgrna",
        "grna",
        "aso",
        "crispr",
        "crispri",
        "crispra",
        "guide",
        "knockdown",
        "kd",
        "transfection",
        "transfected",
        "plasmid",
        "virus",
        "aav",
        "lentivirus",
        "moi",
        "overexpression",
        "transduction",
        "oligo",
        "morpholino",
        "antibody",
        "stimulus",
        "stimuli",
        "stimulation",
        "stim",
        "stressor",
        "stress",
        "challenge",
        "inducer",
        "induction",
        "induced",
        "insult",
        "agonist",
        "antagonist",
        "inhibitor",
        "toxin",
        "toxicant",
        "cytokine",
        "supplement",
        "additive",
        "background",
        "cotreatment",
        "pretreatment",
        "posttreatment",
        "combination",
        "combo",
        "coculture",
        "dox",
        "doxycycline",
        "serum",
        "medium",
        "media",
        "starvation",
    ]
)
_LABELS = frozenset(
    [
        "condition",
        "conditions",
        "treatment",
        "treatments",
        "treated",
        "compound",
        "drug",
        "cmpd",
        "dose",
        "concentration",
        "conc",
        "exposure",
    ]
)
_DENSITY = re.compile(
    r"density|cells?_(number_)?(per_)?(well|cm|mm|ml)|cells?_number|cells?_seeded"
    r"|cells?_plated|(seeded|plated)_cells?|^seeding$"
)
_TREATMENT = re.compile(
    r"(growth|culture)_condition|(pre|post|co)_(treat|compound|drug|incubat|culture|appli)"
    r"|knock_(down|out)|over_expression"
)
# What motor neurons are given beside the compound, as a column of its own.
_FACTORS = frozenset(
    [
        "h2o2",
        "glutamate",
        "kainate",
        "arsenite",
        "nascn",
        "tunicamycin",
        "thapsigargin",
        "mg132",
        "sorbitol",
        "menadione",
        "rotenone",
        "staurosporine",
        "bdnf",
        "gdnf",
        "cntf",
        "ngf",
        "igf1",
        "lps",
        "tnf",
        "tnfa",
        "ifn",
        "ifng",
        "il1b",
    ]
)
_MEASURED = frozenset(["optical", "measured", "counted"])
# Words after which a header describes the treatment (or its record) instead of being one.
_DESCRIPTIONS = frozenset(
    [
        "id",
        "lot",
        "lots",
        "supplier",
        "vendor",
        "source",
        "barcode",
        "plate",
        "well",
        "batch",
        "catalog",
        "catalogue",
        "cat",
        "number",
        "no",
        "comment",
        "comments",
        "note",
        "notes",
        "smiles",
        "inchi",
        "inchikey",
        "class",
        "target",
        "targets",
        "moa",
        "mechanism",
        "type",
        "stock",
        "library",
        "cas",
        "mw",
        "weight",
        "url",
        "date",
        "operator",
        "optical",
        "passage",
        "rank",
        "index",
        "order",
        "position",
        "alias",
        "synonym",
        "synonyms",
        "file",
        "measured",
        "counted",
    ]
)


def _word(cell: str) -> str:
    word = re.sub(r"[\s\-_]+", "_", tidy(cell).lower().replace(".", " ").replace("#", " "))
    return word.strip("_: ").strip("_")


def read_header(cell: str) -> tuple[str, str | None]:
    """Our name of a header with the unit it carries: "Conc. [nM]" ► ("dose", "nM").

    A second compound is `compound_2`, its dose `dose_2`; any other header is an annotation and
    stays as written, in lower case.
    """
    match = _WITH_UNIT.match(tidy(cell))
    title, unit = (match.group(1), match.group(2)) if match else (cell, None)
    name = _name(_word(title))
    if unit is None and name is None:
        ends = _ENDS_IN_UNIT.match(_word(cell))
        if ends and (_name(ends.group(1)) or "").startswith("dose"):
            name, unit = _name(ends.group(1)), ends.group(2)
    if name is not None and (unit is None or not name.startswith("compound")):
        return name, unit
    return _word(cell), unit


def header_name(cell: str) -> str:
    """Our name of a column header, or the header itself in lower case if it is an annotation."""
    return read_header(cell)[0]


def dose_unit(name: str, unit: str | None) -> tuple[str, str] | None:
    """The cell that a unit in a dose's header fills in: ("unit_2", "nM").

    Raises ValueError for what is not a concentration unit.
    """
    if unit is None or not re.fullmatch(r"dose(_[2-9])?", name):
        return None
    molar_factor(unit)
    return name.replace("dose", "unit"), unit


def _name(word: str) -> str | None:
    if word in HEADERS:
        return HEADERS[word]
    for pattern, name in _NUMBERED:
        match = pattern.fullmatch(word)
        if match:
            count = _COUNTS[match.group("count")]
            return name if count == 1 else f"{name}_{count}"
    return None


def is_treatment(name: str, values: Iterable[str]) -> bool:
    """Whether an annotation is something done to the cells, by its words or by its values.

    "siRNA", "stimulus", "cells per well", "BDNF (ng/mL)" and a column of values such as "3 µM" are;
    "compound lot", "operator" and "stock (mM)" are not.
    """
    words = re.findall(r"[^\W\d_]+", name)
    spelled = "_".join(words)
    if not _MEASURED & set(words) and _DENSITY.search(spelled):
        return True
    if _DESCRIPTIONS & set(words):
        return False
    if _TREATMENTS & set(words) or _TREATMENT.search(spelled):
        return True
    if _FACTORS & set(name.split("_")):
        return True
    match = _WITH_UNIT.match(name)
    if match and _is_concentration(match.group(2)):
        return True
    return any(re.fullmatch(r"[0-9.,]+\s*[munpµμ]M", value) for value in values)


def is_condition(name: str) -> bool:
    """Whether an annotation may be a label of the whole condition, such as "condition".

    It may repeat what the other columns say, but not divide wells that they make equal.
    """
    words = set(re.findall(r"[^\W\d_]+", name))
    return bool(_LABELS & words) and not _DESCRIPTIONS & words


def _is_concentration(unit: str) -> bool:
    try:
        molar_factor(unit)
    except ValueError:
        return bool(re.fullmatch(r"[munpfµμ]?g/[muµμ]?l|u/ml|iu/ml", unit.replace(" ", ""), re.I))
    return True
