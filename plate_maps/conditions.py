"""What is in a well: the line, the compound with its dose in mol/L, and the role as a control."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from plate_maps.names import shape

# Factor to mol/L. The micro sign and the Greek letter mu are two characters; both are typed.
_MOLAR = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "μm": 1e-6, "nm": 1e-9, "pm": 1e-12}
_LONG = {
    "mol/l": 1.0,
    "mmol/l": 1e-3,
    "umol/l": 1e-6,
    "µmol/l": 1e-6,
    "μmol/l": 1e-6,
    "nmol/l": 1e-9,
    "pmol/l": 1e-12,
}
_DOSE = re.compile(r"^\s*([-+]?[0-9.,]+(?:[eE][-+]?[0-9]+)?)\s*([^\d\s.,].*?)?\s*$")
_PLAIN = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
# "1,000" is one in Germany and a thousand in England; "0,500" and "1,50" can only be decimals.
_EITHER_MARK = re.compile(r"[-+]?[1-9][0-9]{0,2},[0-9]{3}")
_GROUPED = (
    re.compile(r"([-+]?[0-9]{1,3}(?:,[0-9]{3})+)(\.[0-9]+)"),
    re.compile(r"([-+]?[0-9]{1,3}(?:\.[0-9]{3})+)(,[0-9]+)"),
    re.compile(r"([-+]?[0-9]{1,3}(?:,[0-9]{3}){2,})()"),
    re.compile(r"([-+]?[0-9]{1,3}(?:\.[0-9]{3}){2,})()"),
)


# Share by which doses of two steps differ at least.
_ONE_STEP = 0.01
# Share by which one dose, rounded to two digits or more in two ways, differs at most.
_ROUNDED = 0.05

# Words in a compound's place that mean no compound (to be compared in small letters).
SOLVENTS = frozenset(
    [
        "dmso",
        "vehicle",
        "veh",
        "water",
        "h2o",
        "pbs",
        "medium",
        "media",
        "untreated",
        "solvent",
        "none",
        "no",
        "-",
        "–",
        "control",
        "ctrl",
    ]
)


_FRACTION = re.compile(r"\b[0-9]+(?:[.,][0-9]+)? ?%(?: ?v/v)?")


def is_solvent(name: str) -> bool:
    """Whether a name in a compound's place means no compound: "DMSO", "0.1 % DMSO", "Medium only".

    The whole name must be known, its fraction left out.

    Examples
    --------
    >>> from plate_maps.conditions import is_solvent
    >>> is_solvent("DMSO (0.1%)"), is_solvent("vehicle control"), is_solvent("riluzole in DMSO")
    (True, True, False)
    """
    plain = _FRACTION.sub(" ", shape(name)).strip()
    words = re.findall(r"[^\s()\[\]_,;:+-]+", plain)
    # "no DMSO" names no solvent.
    solvents = SOLVENTS - {"no", "none"}
    return plain in SOLVENTS or (
        any(w in solvents for w in words) and all(w in {*solvents, "only", "alone"} for w in words)
    )


class Control(StrEnum):
    """The role of a well in normalisation.

    Examples
    --------
    >>> from plate_maps import Control
    >>> Control.parse("DMSO").value
    'vehicle'
    """

    NONE = "none"
    VEHICLE = "vehicle"
    POSITIVE = "positive"
    NEGATIVE = "negative"

    @classmethod
    def parse(cls, text: str) -> Control:
        """Read a sheet's word for a control: "DMSO" and "neg_ctrl" are as usual as "vehicle"."""
        word = text.strip().lower().replace(" ", "_").replace("-", "_")
        for control, words in _CONTROL_WORDS.items():
            if word in words:
                return control
        known = ", ".join(sorted(w for words in _CONTROL_WORDS.values() for w in words if w))
        raise ValueError(f"{text!r} is not a control; write one of: {known}")


_CONTROL_WORDS: dict[Control, frozenset[str]] = {
    Control.NONE: frozenset({"", "none", "no", "sample", "treated", "treatment", "trt"}),
    Control.VEHICLE: frozenset({"vehicle", "veh", "dmso", "solvent", "vehicle_control", "negcon"}),
    Control.POSITIVE: frozenset(
        {"positive", "pos", "positive_control", "pos_ctrl", "pos_control", "poscon"}
    ),
    Control.NEGATIVE: frozenset(
        {
            "negative",
            "neg",
            "negative_control",
            "neg_ctrl",
            "neg_control",
            "secondary_only",
            "blank",
        }
    ),
}


class ColumnNeeded(ValueError):
    """A fault of one well that comes of a column where the whole map lacks it.

    `columns` are our names of the columns that would mend it, the first one to be named first.
    """

    def __init__(self, message: str, *columns: str) -> None:
        super().__init__(message)
        self.columns = columns


def molar_factor(unit: str) -> float:
    """Factor from a unit to mol/L: "nM" ► 1e-9.

    Upper and lower case do not matter: "MM" is read as millimolar, since a dose is never megamolar.
    """
    key = unit.strip().lower().replace(" ", "")
    if key in _MOLAR:
        return _MOLAR[key]
    if key in _LONG:
        return _LONG[key]
    raise ValueError(f"{unit!r} is not a concentration unit; write M, mM, µM (uM), nM or pM")


def parse_dose(text: str, unit: str | None = None) -> float:
    """Dose in mol/L from "1 µM", or from "10" with a unit from the unit column.

    A unit in the text must agree with the `unit` column where both stand. Zero needs no unit.
    Raises ValueError for text, a negative or infinite number, and a dose without unit.

    Examples
    --------
    >>> from plate_maps import parse_dose
    >>> parse_dose("300 nM"), parse_dose("0.3", "uM")
    (3e-07, 3e-07)
    """
    match = _DOSE.match(text)
    if not match:
        raise ValueError(
            f"dose {text!r} is not a number with a unit; write it as 10 with a unit column, or as"
            " 10 µM"
        )
    value = _number(match.group(1), text)
    cell_unit, column_unit = match.group(2), (unit or "").strip() or None
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"dose {text!r} is not a finite number of zero or more")
    units = [written for written in (cell_unit, column_unit) if written]
    # "0 %" is zero whatever the unit; "0 x5" is not a number with a unit.
    if value == 0.0 and len(units) < 2 and not re.search(r"[0-9]", "".join(units)):
        return 0.0
    try:
        factors = [molar_factor(written) for written in units]
    except ValueError as error:
        raise ValueError(f"dose {text!r}: {error}") from error
    if len(set(factors)) > 1:
        raise ValueError(
            f"dose {text!r} has unit {cell_unit!r}, but the unit column has"
            f" {column_unit!r}; keep the right one"
        )
    if not factors:
        raise ColumnNeeded(
            f"dose {text!r} has no unit; add a unit column (M, mM, µM, nM, pM) or write it into the"
            " cell",
            "unit",
        )
    # Twelve digits: 0.3 µM and 300 nM must be the same dose, and binary products of them differ.
    return float(f"{value * factors[0]:.12g}")


def _number(written: str, text: str) -> float:
    """A number with a decimal point or comma; `text` is the whole cell, for messages."""
    if _PLAIN.fullmatch(written):
        return float(written)
    if _EITHER_MARK.fullmatch(written):
        raise ValueError(
            f"dose {text!r} can be read with a decimal comma or with a comma between thousands;"
            " write it with a point and without separators, as in 1.5 or 1000"
        )
    for pattern in _GROUPED:
        grouped = pattern.fullmatch(written)
        if grouped:
            whole, rest = grouped.groups()
            return float(re.sub(r"[.,]", "", whole) + rest.replace(",", "."))
    decimal = written.replace(",", ".")
    if "." not in written and _PLAIN.fullmatch(decimal):
        return float(decimal)
    raise ValueError(
        f"dose {text!r} is not a number with a unit; write it as 10 with a unit column, or as 10 µM"
    )


def decimal_marks(doses: Mapping[str, str], *, comma_expected: bool) -> list[str]:
    """Doses such as "1.000" in a map in which the comma is the decimal mark.

    `doses` maps place ► text; `comma_expected` where the file is separated by semicolons, as a
    spreadsheet writes it whose decimal mark is the comma. Returns one sentence per such cell.
    """
    commas = any(re.match(r"\s*(?:0|[0-9.]+),[0-9]", text) for text in doses.values())
    points = any(
        re.match(r"\s*[0-9]*\.[0-9]", text)
        and not re.match(r"\s*[1-9][0-9]{0,2}\.[0-9]{3}\b", text)
        for text in doses.values()
    )
    if not commas and (points or not comma_expected):
        return []
    return [
        f"{place}: dose {text!r} can be read with a decimal point or with a point between"
        " thousands; write it without separators, as in 1 or 1000"
        for place, text in doses.items()
        if re.match(r"\s*[1-9][0-9]{0,2}\.[0-9]{3}(?![0-9.,])", text)
    ]


def format_dose(molar: float | None, digits: int = 3) -> str:
    """A dose with the unit that a bench scientist would write, to three digits; "–" for none.

    Examples
    --------
    >>> from plate_maps.conditions import format_dose
    >>> format_dose(3.5e-7), format_dose(None)
    ('350 nM', '–')
    """
    if molar is None:
        return "–"
    # A dose that three digits round up to 1 µM is not written as 1e+03 nM.
    for unit, factor in (("M", 1.0), ("mM", 1e-3), ("µM", 1e-6), ("nM", 1e-9)):
        if molar >= factor * 0.9995:
            return f"{molar / factor:.{digits}g} {unit}"
    return f"{molar / 1e-12:.{digits}g} pM"


def dose_steps(doses: Iterable[float], apart: float = _ONE_STEP) -> list[list[float]]:
    """Steps of a ladder, ascending: doses (mol/L) that differ by under `apart` (1 %) are one step.

    Ladders do not have such steps; a dispenser's log and rounded numbers do (3.33 and 3.3333 µM).

    Examples
    --------
    >>> dose_steps([1e-6, 3.3333e-6, 3.33e-6])
    [[1e-06], [3.33e-06, 3.3333e-06]]
    """
    steps: list[list[float]] = []
    for dose in sorted(set(doses)):
        if steps and dose <= steps[-1][0] * (1 + apart):
            steps[-1].append(dose)
        else:
            steps.append([dose])
    return steps


def split_steps(doses: Iterable[float]) -> list[str]:
    """Doses that are one step and several numbers, each with all its digits.

    Up to 5 % apart: of 1/3 µM one plate map has 0.33 and another 0.3333, of 0.125 µM 0.13.
    """
    return [
        " and ".join(format_dose(dose, 12) for dose in step)
        for step in dose_steps(doses, _ROUNDED)
        if len(step) > 1
    ]


@dataclass(frozen=True)
class Condition:
    """What one well holds.

    `dose_molar` is in mol/L and 0.0 in vehicle wells; `None` where a control has no dose.
    `annotations` keeps the sheet's other columns as (name, text) pairs: nothing a lab wrote is
    lost.

    Examples
    --------
    >>> from plate_maps import Condition, Control
    >>> Condition("HC-01", "DMSO", 0.0, Control.VEHICLE).is_vehicle
    True
    """

    line: str
    compound: str
    dose_molar: float | None
    control: Control = Control.NONE
    genotype: str = ""
    batch: str = ""
    replicate: str = ""
    annotations: tuple[tuple[str, str], ...] = ()

    @property
    def is_vehicle(self) -> bool:
        """Whether the well is the vehicle that its line is normalised to."""
        return self.control is Control.VEHICLE
