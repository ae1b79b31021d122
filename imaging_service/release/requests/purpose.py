"""Whether a purpose is one that the donors' consents allow. No person's approval overrides them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from plate_maps.consent import DUO, diseases

_NAME = {code: name for name, code in DUO.items()}
# Permission ► purposes that it allows. POA is research of origins: only POA itself allows it.
_ALLOWS = {
    "NRES": {"GRU", "HMB", "DS", "POA"},
    "GRU": {"GRU", "HMB", "DS"},
    "HMB": {"HMB", "DS"},
    "DS": {"DS"},
    "POA": {"POA"},
}
PURPOSES = ("GRU", "HMB", "DS", "POA")
# Modifiers that ask something of a requester which the record of a request cannot show.
_CONDITIONS = {
    "PUB": "results are to be made public",
    "COL": "the study's investigators are to be collaborators",
    "US": "use is limited to approved users",
    "PS": "use is limited to the approved project",
    "IS": "use is limited to an approved institution",
    "GS": "use is limited to a region",
    "TS": "use is limited in time",
    "RTN": "derived data are to be returned",
    "MOR": "nothing is to be published before a date",  # codespell:ignore
    "GSO": "use is limited to genetic studies",
    "RS": "use is limited to research of a certain type",
    "NPOA": "origins and ancestry are not to be studied",
    "CC": "use in clinical care is allowed",
}


@dataclass(frozen=True)
class Purpose:
    """What a requester wants to do.

    `purpose` is one of PURPOSES, `disease` its MONDO id where it is DS. `methods`: software or
    algorithms are to be developed. `non_profit`, `non_commercial`: of the institution and the use.
    """

    purpose: str
    disease: str = ""
    methods: bool = False
    non_profit: bool = False
    non_commercial: bool = False
    ethics: str = ""


@dataclass(frozen=True)
class Verdict:
    """Why consents forbid a purpose, and what else they ask; both empty where nothing does."""

    forbidden: tuple[str, ...]
    conditions: tuple[str, ...]


def judge(purpose: Purpose, consents: Iterable[str]) -> Verdict:
    """Compare a purpose with the consents of all lines of a release.

    `consents` are texts of DUO ids, as `lines.tsv` of a bundle has them, with the MONDO ids of
    their diseases. Whether those are that of the purpose is a condition.

    Examples
    --------
    >>> judge(Purpose("GRU"), ["DUO:0000006"]).forbidden
    ('HMB does not allow GRU',)
    """
    forbidden: dict[str, None] = {}
    conditions: dict[str, None] = {}
    for consent in consents:
        names = [_NAME[code] for code in consent.split() if code in _NAME]
        for name in names:
            if name in _ALLOWS and purpose.purpose not in _ALLOWS[name]:
                forbidden[f"{name} does not allow {purpose.purpose}"] = None
            if name in _CONDITIONS:
                conditions[f"{name}: {_CONDITIONS[name]}"] = None
        if not set(names) & set(_ALLOWS):
            forbidden["a line has no permission"] = None
        asked = {
            "NMDS": (not purpose.methods, "methods are not to be developed"),
            "NPU": (purpose.non_profit, "the institution must be non-profit"),
            "NCU": (purpose.non_commercial, "the use must be non-commercial"),
            "NPUNCU": (
                purpose.non_profit and purpose.non_commercial,
                "institution and use must be non-profit and non-commercial",
            ),
            "IRB": (bool(purpose.ethics), "a reference of an ethics committee is needed"),
        }
        for name, (met, reason) in asked.items():
            if name in names and not met:
                forbidden[f"{name}: {reason}"] = None
        if "DS" in names:
            # A disease may be a kind of another, which only an ontology or a person tells.
            theirs = ", ".join(diseases(consent)) or "not named"
            conditions[
                f"DS: the disease of the consent ({theirs}) must be that of the purpose"
                f" ({purpose.disease or 'not named'})"
            ] = None
    return Verdict(tuple(forbidden), tuple(conditions))
