"""Which traced fields are learnt from, and which are held out to measure on.

Fields of one well are alike, and so are wells of one plate: a network that saw a neighbour of what
it is measured on looks better than it is. So whole plates are held out, with lines that are on no
other plate where there are such; where all fields are of one plate, whole wells; and the lineage
says which it was.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from imaging_service.errors import ModelRefused
from imaging_service.models.fields import TracedField

# Share of the fields that is held out, at least.
HELD_OUT = 0.25
Level = Literal["plate and line", "plate", "well"]


@dataclass(frozen=True)
class Split:
    """Fields to train on, fields held out, and what no two of them on either side share."""

    train: tuple[TracedField, ...]
    held_out: tuple[TracedField, ...]
    level: Level


def split_fields(fields: Sequence[TracedField], seed: int = 0) -> Split:
    """Hold out about a quarter of the fields, whole plates and lines where it can be.

    Raises ModelRefused where all fields are of one well.
    """
    levels: tuple[tuple[Level, Callable[[TracedField], tuple[Hashable, ...]]], ...] = (
        ("plate and line", lambda f: (("plate", _plate(f)), ("line", f.record.line))),
        ("plate", lambda f: (("plate", _plate(f)),)),
        ("well", lambda f: (("well", _plate(f), f.record.well),)),
    )
    for level, ties in levels:
        groups = _groups([ties(f) for f in fields])
        if len(groups) < 2:
            continue
        rng = np.random.default_rng(seed)
        # Small groups first, so that no more is held out than need be; equal ones in random order.
        order = sorted(rng.permutation(len(groups)), key=lambda g: len(groups[g]))
        held: set[int] = set()
        for g in order[:-1]:
            if len(held) >= HELD_OUT * len(fields):
                break
            held |= set(groups[g])
        return Split(
            tuple(f for i, f in enumerate(fields) if i not in held),
            tuple(f for i, f in enumerate(fields) if i in held),
            level,
        )
    wells = sorted({f"{f.record.plate_name} {f.record.well}" for f in fields})
    raise ModelRefused(
        f"traced fields of one well ({', '.join(wells) or 'none at all'}) cannot be split into"
        " fields to learn from and fields to measure on; trace fields of at least two wells, better"
        " of several plates"
    )


def _plate(field: TracedField) -> str:
    """A plate is its pixels: two runs of one plate are one plate."""
    return field.record.plate_digest


def _groups(ties: Sequence[tuple[Hashable, ...]]) -> list[list[int]]:
    """Indices that share a tie, directly or over others, in order of the first."""
    groups: list[tuple[set[Hashable], list[int]]] = []
    for i, names in enumerate(ties):
        joined = [g for g in groups if not g[0].isdisjoint(names)]
        groups = [g for g in groups if g[0].isdisjoint(names)]
        groups.append(
            (
                set(names).union(*(g[0] for g in joined)),
                sorted([i, *(n for g in joined for n in g[1])]),
            )
        )
    return sorted((members for _, members in groups), key=lambda members: members[0])
