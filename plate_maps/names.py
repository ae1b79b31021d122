"""Names as people type them: what is invisible is taken off, and look-alikes are told apart.

"riluzole", "Riluzole" and "riluzole" with an invisible character are three strings and one
compound; taken as they are, they would split its wells over three curves.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

# Cyrillic and Greek letters that print like Latin ones; Unicode's compatibility forms do not join
# them.
_SAME_SHAPE = str.maketrans(
    "АВЕЗКМНОРСТУХаеорсухіјѕ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο" + "‐‑‒–—−",
    "ABE3KMHOPCTYXaeopcyxijs" + "ABEZHIKMNOPTYXo" + "------",
)
_MOST_PLACES = 6
_MONTH = r"(?:jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]*"
# What a spreadsheet makes of SEPT1, 1-2 or 3/4, as a date cell and as text.
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9:.]+)?"
    r"|[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2,4}"
    rf"|[0-9]{{1,2}}[-. ]+{_MONTH}(?:[-. ]+[0-9]{{2,4}})?"
    rf"|{_MONTH}-[0-9]{{1,4}}"
    r"|[0-9]{1,2}:[0-9]{2}(?::[0-9.]+)?",
    re.IGNORECASE,
)
# What it makes of 15E9, and what stands in a cell that it could not compute.
_SCIENTIFIC = re.compile(r"[0-9](?:[.,][0-9]+)?E\+[0-9]+", re.IGNORECASE)
_ERROR = re.compile(r"#(?:N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|SPILL!|CALC!)|Err:[0-9]+")


def tidy(text: str) -> str:
    """The text in Unicode's composed form, without invisible characters and repeated spaces."""
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", visible)).strip()


def shape(name: str) -> str:
    """What two spellings of one name share."""
    return unicodedata.normalize("NFKC", tidy(name).translate(_SAME_SHAPE)).casefold()


def is_date(text: str) -> bool:
    """Whether a cell is a date or a time, as a spreadsheet makes of names and numbers.

    Examples
    --------
    >>> is_date("1-Sep"), is_date("2025-09-01 00:00:00"), is_date("MARCH1")
    (True, True, False)
    """
    return _DATE.fullmatch(tidy(text)) is not None


def damaged_name(text: str) -> str:
    """What a spreadsheet made of a name that is not one any more; empty for any other name.

    Examples
    --------
    >>> damaged_name("1-Sep"), damaged_name("1.50E+10"), damaged_name("MW150")
    ('a date', 'a number in scientific notation', '')
    """
    if is_date(text):
        return "a date"
    if _SCIENTIFIC.fullmatch(tidy(text)):
        return "a number in scientific notation"
    return cell_error(text)


def cell_error(text: str) -> str:
    """Name of the error that a spreadsheet left in a cell; empty for any other text.

    Examples
    --------
    >>> cell_error("#REF!"), cell_error("#4")
    ('the error of a formula', '')
    """
    return "the error of a formula" if _ERROR.fullmatch(tidy(text)) else ""


def look_alikes(
    kind: str, spellings: Mapping[str, Sequence[str]], shared: Callable[[str], str] = shape
) -> list[str]:
    """One sentence per group of names of one kind that only look different, with their places.

    `spellings` maps name ► wells or rows. Differences are in case, invisible characters, kinds of
    space or dash, the form of an accented letter or of µ, or a letter of another alphabet; or in
    what else `shared` does not tell apart.
    """
    groups: dict[str, list[str]] = {}
    for name in spellings:
        groups.setdefault(shared(name), []).append(name)
    return [
        f"{kind} {' and '.join(spelled(name, spellings[name]) for name in group)} look alike;"
        " write one name in one way (mind case, spaces, invisible characters and other alphabets)"
        for group in groups.values()
        if len(group) > 1
    ]


def spelled(name: str, places: Sequence[str] = ()) -> str:
    """A name in quotes, with what a screen does not show of it, and the first of its places."""
    # `ascii` shows what a screen does not: "riluzole\u200b".
    shown = repr(name) if name.isascii() else f"{name!r} ({name!a})"
    if not places:
        return shown
    more = f" and {len(places) - _MOST_PLACES} more" if len(places) > _MOST_PLACES else ""
    return f"{shown} at {', '.join(places[:_MOST_PLACES])}{more}"
