"""Names as people type them: what is invisible is taken off, and look-alikes are told apart.

"riluzole", "Riluzole" and "riluzole" with an invisible character are three strings and one
compound; taken as they are, they would split its wells over three curves.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from plate_maps.wells import Well

# Cyrillic and Greek letters that print like Latin ones; Unicode's compatibility forms do not join
# them.
_SAME_SHAPE = str.maketrans(
    "АВЕЗКМНОРСТУХаеорсухіјѕ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο" + "‐‑‒–—−",
    "ABE3KMHOPCTYXaeopcyxijs" + "ABEZHIKMNOPTYXo" + "------",
)
_MOST_WELLS = 6


def tidy(text: str) -> str:
    """The text in Unicode's composed form, without invisible characters and repeated spaces."""
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", visible)).strip()


def shape(name: str) -> str:
    """What two spellings of one name share."""
    return unicodedata.normalize("NFKC", tidy(name).translate(_SAME_SHAPE)).casefold()


def look_alikes(kind: str, spellings: Mapping[str, list[Well]]) -> list[str]:
    """One sentence per group of names of one kind that only look different, with their wells.

    `spellings` maps name ► wells. Differences are in case, invisible characters, kinds of space
    or dash, the form of an accented letter or of µ, or a letter of another alphabet.
    """
    groups: dict[str, list[str]] = {}
    for name in spellings:
        groups.setdefault(shape(name), []).append(name)
    return [
        f"{kind} {' and '.join(_spelled(name, spellings[name]) for name in group)} look alike;"
        " write one name in one way (mind case, spaces, invisible characters and other alphabets)"
        for group in groups.values()
        if len(group) > 1
    ]


def _spelled(name: str, wells: list[Well]) -> str:
    shown = ", ".join(w.name for w in wells[:_MOST_WELLS])
    more = f" and {len(wells) - _MOST_WELLS} more" if len(wells) > _MOST_WELLS else ""
    # `ascii` shows what a screen does not: "riluzole\u200b".
    hidden = "" if name.isascii() else f" ({name!a})"
    return f"{name!r}{hidden} at {shown}{more}"
