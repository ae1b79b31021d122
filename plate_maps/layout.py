"""Lay out plates at random, with every line and its vehicle wells on every plate.

The effect of a line that has separate plates cannot be told from theirs afterwards, whatever the
statistics. So lines are never split over plates: compounds are, and where not even one compound
fits with all lines and their controls, the layout is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from plate_maps.conditions import Condition, Control
from plate_maps.plate_map import PlateMap
from plate_maps.wells import PlateFormat, Well

# Largest correlation of a line's wells with rows or columns before the layout is drawn again.
_MOST_CORRELATION = 0.25
_DRAWS = 200


@dataclass(frozen=True)
class Design:
    """What is to be tested.

    `lines` maps name ► genotype; doses in mol/L; counts are wells per line and plate.
    """

    lines: dict[str, str]
    compounds: tuple[str, ...]
    doses_molar: tuple[float, ...]
    replicates: int = 2
    vehicles: int = 8
    vehicle: str = "DMSO"
    positive: str = ""
    positive_molar: float | None = None
    positives: int = 4


class LayoutError(ValueError):
    """A design that does not fit, or fits only with line and plate confounded."""


def lay_out(
    design: Design, fmt: PlateFormat, seed: int, *, edge: bool = False, batch: str = ""
) -> list[PlateMap]:
    """Draw one plate map per plate; compounds are spread over as many plates as needed.

    The same arguments give the same layout. Without `edge` the outer wells stay empty: they
    evaporate.
    """
    if not design.lines or not design.compounds or not design.doses_molar:
        raise LayoutError("a layout needs at least one line, one compound and one dose")
    if any(d <= 0 for d in design.doses_molar):
        raise LayoutError(
            "doses must be above 0 mol/L; leave the vehicle out, its wells are added to every plate"
        )
    places = [
        Well(r, c)
        for r in range(1, fmt.rows + 1)
        for c in range(1, fmt.columns + 1)
        if edge or (1 < r < fmt.rows and 1 < c < fmt.columns)
    ]
    controls = len(design.lines) * (design.vehicles + (design.positives if design.positive else 0))
    each = len(design.lines) * len(design.doses_molar) * design.replicates
    room = (len(places) - controls) // each
    if room < 1:
        raise LayoutError(
            f"{len(design.lines)} lines with {controls} control wells and one compound ({each}"
            f" wells) need {controls + each} wells; a {fmt} plate has {len(places)} usable wells."
            " Lines on separate plates would be confounded with the plate: take fewer lines, doses"
            " or replicates, or a larger plate"
        )
    plates = -(-len(design.compounds) // room)
    rng = np.random.default_rng(seed)
    order = [design.compounds[i] for i in rng.permutation(len(design.compounds))]
    # Evenly: the last plate is not left with one compound.
    shares = [order[p::plates] for p in range(plates)]
    return [
        _plate(design, share, fmt, places, rng, f"plate {p + 1}", batch)
        for p, share in enumerate(shares)
    ]


def _plate(
    design: Design,
    compounds: Sequence[str],
    fmt: PlateFormat,
    places: list[Well],
    rng: np.random.Generator,
    source: str,
    batch: str,
) -> PlateMap:
    conditions: list[Condition] = []
    for line, genotype in design.lines.items():
        vehicle = Condition(line, design.vehicle, 0.0, Control.VEHICLE, genotype, batch)
        conditions += [vehicle] * design.vehicles
        if design.positive:
            conditions += [
                Condition(
                    line, design.positive, design.positive_molar, Control.POSITIVE, genotype, batch
                )
            ] * design.positives
        conditions += [
            Condition(line, c, d, Control.NONE, genotype, batch, str(r + 1))
            for c in compounds
            for d in design.doses_molar
            for r in range(design.replicates)
        ]
    drawn: list[Well] = []
    least = (len(design.lines) + 1, np.inf)
    for _ in range(_DRAWS):
        other = [places[i] for i in rng.permutation(len(places))[: len(conditions)]]
        worst = (
            len(_vehicles_together(conditions, other, fmt)),
            _worst_correlation(conditions, other),
        )
        if worst < least:
            least, drawn = worst, other
        if worst <= (0, _MOST_CORRELATION):
            break
    if least[0]:
        lines = ", ".join(_vehicles_together(conditions, drawn, fmt))
        raise LayoutError(
            f"no layout was drawn in which the vehicle wells of {lines} lie inside the plate and in"
            " several rows and columns; take more of them per line, fewer lines, or a larger plate"
        )
    return PlateMap(fmt, dict(sorted(zip(drawn, conditions, strict=True))), source)


def vehicles_apart(
    conditions: Sequence[Condition], wells: Sequence[Well], fmt: PlateFormat
) -> list[str]:
    """Lines with vehicle wells that an effect of their place would part from the treated ones.

    All of them, three or more, lie at the edge, or in one row or column, and most treated wells do
    not.
    """
    placed = list(zip(conditions, wells, strict=True))
    lines = []
    for line in dict.fromkeys(c.line for c in conditions):
        vehicle = [w for c, w in placed if c.line == line and c.is_vehicle]
        treated = [w for c, w in placed if c.line == line and c.control is Control.NONE]
        parted = [
            2 * sum(not same(w) for w in treated) > len(treated) for same in _together(vehicle, fmt)
        ]
        if len(vehicle) > 2 and any(parted):
            lines.append(line)
    return lines


def _together(vehicle: Sequence[Well], fmt: PlateFormat) -> list[Callable[[Well], bool]]:
    """What all vehicle wells share of their place, as tests of a well."""

    def outer(well: Well) -> bool:
        return well.row in (1, fmt.rows) or well.column in (1, fmt.columns)

    shared: list[Callable[[Well], bool]] = []
    if all(map(outer, vehicle)):
        shared.append(outer)
    if len({w.row for w in vehicle}) == 1:
        shared.append(lambda well: well.row == vehicle[0].row)
    if len({w.column for w in vehicle}) == 1:
        shared.append(lambda well: well.column == vehicle[0].column)
    return shared


def _vehicles_together(
    conditions: Sequence[Condition], wells: Sequence[Well], fmt: PlateFormat
) -> list[str]:
    """Lines with all vehicle wells at the edge, or in one row or column."""
    placed = list(zip(conditions, wells, strict=True))
    vehicles = {
        line: [w for c, w in placed if c.line == line and c.is_vehicle]
        for line in dict.fromkeys(c.line for c in conditions)
    }
    return [line for line, lie in vehicles.items() if len(lie) > 1 and _together(lie, fmt)]


def _worst_correlation(conditions: Sequence[Condition], wells: Sequence[Well]) -> float:
    """Largest correlation of any line's, or the dose's, place with rows and columns."""
    place = np.array([(w.row, w.column) for w in wells], float)
    features = [
        np.array([c.line == line for c in conditions], float)
        for line in dict.fromkeys(c.line for c in conditions)
    ]
    features.append(
        np.array([np.log10(c.dose_molar) if c.dose_molar else -12.0 for c in conditions])
    )
    correlations = [
        abs(float(np.corrcoef(f, place[:, axis])[0, 1]))
        for f in features
        for axis in (0, 1)
        if f.std() > 0 and place[:, axis].std() > 0
    ]
    return max(correlations, default=0.0)


def to_csv(plate_map: PlateMap) -> str:
    """The map in long form, doses in µM, as `read_plate_map` reads it back.

    Annotations have columns of their own, but for the parts of a combination, which is a compound.
    """
    noted = sorted(
        name
        for name in {name for c in plate_map.conditions.values() for name, _ in c.annotations}
        if not re.fullmatch(r"(compound|dose|unit)_[2-4]", name)
    )
    rows = [",".join(("well,line,genotype,compound,dose,unit,control,batch,replicate", *noted))]
    for well, c in sorted(plate_map.conditions.items()):
        dose, unit = ("", "") if not c.dose_molar else (f"{c.dose_molar * 1e6:.10g}", "uM")
        control = "" if c.control is Control.NONE else c.control.value
        rows.append(
            ",".join(
                _quoted(v)
                for v in (
                    well.name,
                    c.line,
                    c.genotype,
                    c.compound,
                    dose,
                    unit,
                    control,
                    c.batch,
                    c.replicate,
                    *(dict(c.annotations).get(name, "") for name in noted),
                )
            )
        )
    return "\n".join(rows) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(s in text for s in ',"\n') else text


def draw(plate_map: PlateMap) -> str:
    """The plate in letters, one letter per well.

    A line's letter is in lower case for its vehicle wells; + is a positive, - a negative control.
    """
    letters = {line: chr(ord("A") + i % 26) for i, line in enumerate(plate_map.lines)}
    rows = ["    " + " ".join(f"{c:>2}" for c in range(1, plate_map.format.columns + 1))]
    for r in range(1, plate_map.format.rows + 1):
        cells = []
        for c in range(1, plate_map.format.columns + 1):
            condition = plate_map.conditions.get(Well(r, c))
            if condition is None:
                cells.append("·")
            elif condition.control is Control.POSITIVE:
                cells.append("+")
            elif condition.control is Control.NEGATIVE:
                cells.append("-")
            else:
                letter = letters[condition.line]
                cells.append(letter.lower() if condition.is_vehicle else letter)
        rows.append(f"{Well(r, 1).name[:-2]:>2}  " + " ".join(f"{c:>2}" for c in cells))
    key = ", ".join(f"{letter} {line}" for line, letter in letters.items())
    return "\n".join(
        [*rows, f"{key}; lower case vehicle, + positive, - negative, · not in the map"]
    )
