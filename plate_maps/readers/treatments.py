"""Annotations that are treatments: seeding density, siRNA, a stimulus, a growth condition.

Responses are relative to the vehicle wells of the same line. A treatment that is the same in all
wells of a line is the background of them all and stays an annotation. One that differs would be
pooled over, or be taken for the compound's effect, so the map is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from plate_maps.conditions import Condition, Control
from plate_maps.names import shape
from plate_maps.readers.contents import compounds_of
from plate_maps.readers.headers import is_condition, is_treatment
from plate_maps.wells import Well

_MOST = 4


def divided_wells(conditions: Mapping[Well, Condition]) -> list[str]:
    """One sentence per annotation and line by which wells differ in their treatment.

    Wells marked as negative are left out: they are stained or seeded otherwise on purpose, and no
    response is relative to them.
    """
    used = {w: c for w, c in conditions.items() if c.control is not Control.NEGATIVE}
    names = sorted({name for c in used.values() for name, _ in c.annotations})
    # A column named by a compound of the map, such as edaravone, holds its dose.
    compounds = {shape(part) for c in used.values() for part in compounds_of(c)} - {""}
    sentences = []
    for name in names:
        if name.startswith(("compound_", "dose_")) and name[-1] in "234":
            continue  # part of the condition already
        values = {w: dict(c.annotations).get(name, "") for w, c in used.items()}
        strict = is_treatment(name, values.values()) or shape(name) in compounds
        if not strict and not is_condition(name):
            continue
        groups: dict[tuple[object, ...], dict[str, list[Well]]] = {}
        for well, c in used.items():
            if values[well] and shape(values[well]) == shape(c.compound):
                continue  # repeats the compound's name
            key = (c.line,) if strict else (c.line, c.compound, c.dose_molar, c.control)
            groups.setdefault(key, {}).setdefault(values[well], []).append(well)
        sentences += [
            f"column {name} differs between wells of line {key[0]}: {_shown(by_value)}. It would be"
            " pooled over; write one map per value (plate-map split; wells that are not in the map"
            " are not analysed), give a second compound as compound2 and dose2, or, if it is only a"
            " note, name the column so (such as note)"
            for key, by_value in groups.items()
            if len(by_value) > 1
        ]
    return sentences


def _shown(by_value: Mapping[str, list[Well]]) -> str:
    parts = [
        f"{value or '(empty)'} at {', '.join(w.name for w in wells[:_MOST])}"
        + (f" and {len(wells) - _MOST} more" if len(wells) > _MOST else "")
        for value, wells in list(by_value.items())[:_MOST]
    ]
    return "; ".join(parts) + ("; …" if len(by_value) > _MOST else "")
