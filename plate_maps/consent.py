"""What a donor's consent allows, as codes: DUO, the Data Use Ontology of GA4GH.

The registry's `consent` is free text. Codes are read from it only where it cannot be mistaken: ids
such as DUO:0000042 anywhere, and shorthands where the text holds nothing else ("HMB-NMDS"). Of any
other text the codes are unknown; no use is assumed to be allowed.
"""

from __future__ import annotations

import re

# Shorthands of DUO's permissions and modifiers.
DUO = {
    "NRES": "DUO:0000004",
    "HMB": "DUO:0000006",
    "DS": "DUO:0000007",
    "POA": "DUO:0000011",
    "RS": "DUO:0000012",
    "NMDS": "DUO:0000015",
    "GSO": "DUO:0000016",
    "NPUNCU": "DUO:0000018",
    "PUB": "DUO:0000019",
    "COL": "DUO:0000020",
    "IRB": "DUO:0000021",
    "GS": "DUO:0000022",
    "MOR": "DUO:0000024",  # codespell:ignore
    "TS": "DUO:0000025",
    "US": "DUO:0000026",
    "PS": "DUO:0000027",
    "IS": "DUO:0000028",
    "RTN": "DUO:0000029",
    "GRU": "DUO:0000042",
    "CC": "DUO:0000043",
    "NPOA": "DUO:0000044",
    "NPU": "DUO:0000045",
    "NCU": "DUO:0000046",
}
# "No general methods research": the data may not be used to develop methods, software among them.
NO_METHODS = DUO["NMDS"]
# What the data may be used for at all; every other code restricts one of these.
PERMISSIONS = frozenset(DUO[name] for name in ("NRES", "HMB", "DS", "POA", "GRU"))
_ID = re.compile(r"DUO[:_][0-9]{7}", re.IGNORECASE)
# "DS" names its disease: "DS (MONDO:0004976)".
_DISEASE = re.compile(r"MONDO[:_][0-9]{7}", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z0-9]+")


def duo_codes(consent: str) -> tuple[str, ...]:
    """DUO ids that a registry's `consent` holds, in its order; none where they are unknown.

    >>> duo_codes("HMB-NMDS")
    ('DUO:0000006', 'DUO:0000015')
    >>> duo_codes("signed in 2019, see the folder")
    ()
    """
    # A shorthand beside an id is read as well: leaving one out could turn a "no" into a "yes".
    rest = _DISEASE.sub(" ", consent)
    words = [w for w in _WORD.findall(_ID.sub(" ", rest)) if not w.isdigit()]
    ids = [(m.start(), m.group().upper().replace("_", ":")) for m in _ID.finditer(rest)]
    if all(word in DUO for word in words):
        ids += [(m.start(), DUO[m.group()]) for m in _WORD.finditer(rest) if m.group() in DUO]
    return tuple(dict.fromkeys(code for _, code in sorted(ids)))


def diseases(consent: str) -> tuple[str, ...]:
    """MONDO ids of the diseases that a consent for a disease (DS) names.

    >>> diseases("DS (MONDO:0004976)")
    ('MONDO:0004976',)
    """
    named = (m.group().upper().replace("_", ":") for m in _DISEASE.finditer(consent))
    return tuple(dict.fromkeys(named))


def holds_other_text(consent: str) -> bool:
    """Whether a consent holds words or codes that are not DUO's: a restriction that no code says.

    A disease (MONDO id) and numbers belong to the codes.

    >>> holds_other_text("HMB-NMDS"), holds_other_text("DUO:0000042, not for companies")
    (False, True)
    """
    rest = _DISEASE.sub(" ", consent)
    ids = {m.group().upper().replace("_", ":") for m in _ID.finditer(rest)}
    words = [w for w in _WORD.findall(_ID.sub(" ", rest)) if not w.isdigit()]
    return any(word not in DUO for word in words) or not ids <= set(DUO.values())


def forbids_methods(consent: str) -> bool:
    """Whether a consent forbids to develop methods, so to train or calibrate on the images.

    The word NMDS counts in any text: read too often, it costs a field; read too seldom, it breaks a
    promise to a donor.
    """
    return NO_METHODS in duo_codes(consent) or "NMDS" in _WORD.findall(consent.upper())
