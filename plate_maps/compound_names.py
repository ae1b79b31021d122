"""Names that may be one compound: they differ in case, spaces, dashes, salts or a typing error.

Such names are never joined by themselves, since a salt or an enantiomer can be meant; they are
named, and the compound registry says which are one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from plate_maps.names import shape

_WITH_DOSE = re.compile(r"(.*\S)\s+([0-9.,]+(?:e[-+]?[0-9]+)?\s*[munpµμ]?M)")
_SALTS = re.compile(
    r"(?:mono|di|tri|tetra|hemi|sesqui|[1-4])?(?:hydrochloride|hcl|hydrobromide|hbr|chloride|bromide"
    r"|iodide|sodium|potassium|calcium|magnesium|na|sulfate|sulphate|phosphate|nitrate|mesylate"
    r"|methanesulfonate|tosylate|besylate|maleate|fumarate|malate|tartrate|citrate|acetate|lactate"
    r"|succinate|gluconate|tfa|trifluoroacetate|hydrate)|salt|free|base|acid|anhydrous"
)
# What stands between a name and its salt: "riluzole-HCl", "riluzole, HCl".
_BEFORE_SALT = re.compile(rf"(?<=\w)[-_./,]+\s*(?=(?:{_SALTS.pattern})(?!\w))")
_BRACKETED = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]\s*")
# A typing error is looked for in words of at least this many letters.
_LEAST_LETTERS = 6


def name_key(name: str) -> str:
    """What spellings of one name share: no case, spaces, dashes, dots or invisible characters.

    Signs of an enantiomer stay, and so does whatever parts two numbers.

    Examples
    --------
    >>> from plate_maps.compound_names import name_key
    >>> name_key("CHIR-99021") == name_key("chir 99021"), name_key("(+)-JQ1") == name_key("(-)-JQ1")
    (True, False)
    >>> name_key("lot 1-1") == name_key("lot 11")
    False
    """
    plain = re.sub(
        r"\(\s*(\+/-|±|[+-])\s*\)", lambda m: f"<{m.group(1)}>".replace("-", "minus"), shape(name)
    )
    plain = re.sub(r"(?<=[0-9])[\s_.·*-]+(?=[0-9])", "/", plain)
    return re.sub(r"[\s_.·*-]+", "", plain)


def parts_of_combination(name: str) -> list[tuple[str, str]]:
    """(compound, dose) of "edaravone 3 µM + riluzole 1 µM"; empty for a single compound."""
    matches = [_WITH_DOSE.fullmatch(part) for part in name.split(" + ")]
    if len(matches) < 2:
        return []
    parts = [(m.group(1), m.group(2)) for m in matches if m]
    return parts if len(parts) == len(matches) else []


def single_names(name: str) -> list[str]:
    """The compounds that a name stands for; none for an empty one."""
    return [part for part, _ in parts_of_combination(name)] or ([name] if name else [])


def without_salt(name: str) -> str:
    """The key of a name without its salt, its solvate and what stands in brackets.

    "valproic acid" and "sodium valproate" share it.
    """
    plain = shape(name)
    unsigned = re.sub(r"^\(\s*(?:\+/-|±|[+-])\s*\)", "", plain)
    sign = plain[: len(plain) - len(unsigned)]
    for text in (_BRACKETED.sub(" ", unsigned), unsigned):
        words = re.findall(r"[^\s·*()\[\]]+", _BEFORE_SALT.sub(" ", text))
        kept = [
            re.sub(r"(?<=[a-z]{4})(?:ic|ate)$", "", word)
            for i, word in enumerate(words)
            # "riluzole x HCl"
            if not _SALTS.fullmatch(word.strip("-")) and not (word == "x" and i + 1 < len(words))
        ]
        if any(re.search(r"[^\W\d_]{2}|[0-9]{3}", word) for word in kept):
            return name_key(sign + " ".join(kept))
    return name_key(name)


def near_duplicates(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of names that may be one compound, each in alphabetical order.

    Examples
    --------
    >>> from plate_maps.compound_names import near_duplicates
    >>> near_duplicates(["Riluzole", "riluzole ", "Riluzole HCl", "riluzol", "edaravone"])
    [('Riluzole', 'Riluzole HCl', 'riluzol', 'riluzole ')]
    """
    single = sorted(set(names))
    first: dict[str, int] = {}
    alike: list[tuple[int, int]] = []
    spelled: dict[tuple[str, ...], list[int]] = {}
    words = [_words(name) for name in single]
    for i, name in enumerate(single):
        alike += [(i, first.setdefault(key, i)) for key in (name_key(name), without_salt(name))]
        neighbours = spelled.setdefault(tuple(w if w.isdigit() else w[0] for w in words[i]), [])
        alike += [(i, j) for j in neighbours if _one_typing_error(words[i], words[j])]
        neighbours.append(i)
    for i, name in enumerate(single):
        # "AZD2281" is what "Olaparib (AZD2281)" has in brackets.
        inside = [name_key(text) for text in _BRACKETED.findall(shape(name))]
        alike += [(i, first[key]) for key in inside if len(key) > 3 and key in first]
    group = list(range(len(single)))
    for i, j in alike:
        old, new = group[i], group[j]
        group = [new if g == old else g for g in group]
    members: dict[int, list[str]] = {}
    for name, g in zip(single, group, strict=True):
        members.setdefault(g, []).append(name)
    return [tuple(m) for m in members.values() if len(m) > 1]


def _words(name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W\d_]+|[0-9]+|[+±]", shape(name)))


def _one_typing_error(a: Sequence[str], b: Sequence[str]) -> bool:
    """Whether names differ in one letter of one long word; numbers must agree."""
    unlike = [(x, y) for x, y in zip(a, b, strict=True) if x != y]
    if len(unlike) != 1:
        return False
    x, y = unlike[0]
    if min(len(x), len(y)) < _LEAST_LETTERS or x[0] != y[0] or x.isdigit() or y.isdigit():
        return False
    return _one_edit(x, y)


def _one_edit(x: str, y: str) -> bool:
    """Whether one letter was added, left out, exchanged, or swapped with the next."""
    start = next(
        (i for i, (p, q) in enumerate(zip(x, y, strict=False)) if p != q), min(len(x), len(y))
    )
    return (
        x[start + 1 :] == y[start:]
        or x[start:] == y[start + 1 :]
        or x[start + 1 :] == y[start + 1 :]
        or (x[start : start + 2] == y[start : start + 2][::-1] and x[start + 2 :] == y[start + 2 :])
    )
