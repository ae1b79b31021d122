"""The plate map: which condition each well holds, joined loudly to a scan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from plate_maps.conditions import Condition, Control
from plate_maps.wells import PlateFormat, Well


class PlateMapError(ValueError):
    """A plate map that cannot be used.

    `problems` holds one sentence per fault with file, row and well.

    Examples
    --------
    >>> from plate_maps import PlateMapError, read_plate_map
    >>> try:
    ...     read_plate_map("protocol.toml")
    ... except PlateMapError as error:
    ...     print(error.source, len(error.problems))
    protocol.toml 1
    """

    def __init__(self, source: str, problems: list[str]) -> None:
        self.source = source
        self.problems = problems
        shown = _alike(problems)
        if len(shown) > 20:
            shown = [*shown[:20], f"… and {len(shown) - 20} more"]
        super().__init__(f"plate map {source} cannot be used:\n  - " + "\n  - ".join(shown))


# A fault of more places is told once.
_MOST_ALIKE = 3


def _alike(problems: list[str]) -> list[str]:
    """Problems, of which those with one sentence at many places are one with the first place.

    >>> _alike([f"m.csv, row {row}: no dose" for row in range(2, 9)] + ["m.csv, row 4: no line"])
    ['m.csv, row 2 and 6 more: no dose', 'm.csv, row 4: no line']
    """
    places: dict[str, list[str]] = {}
    for problem in problems:
        place, colon, sentence = problem.partition(": ")
        places.setdefault(sentence if colon else problem, []).append(place if colon else "")
    shown = []
    for sentence, of in places.items():
        if len(of) > _MOST_ALIKE:
            of = [f"{of[0]} and {len(of) - 1} more"]
        shown += [f"{place}: {sentence}" if place else sentence for place in of]
    return shown


@dataclass(frozen=True)
class Join:
    """Wells of a scan matched with those of a map.

    The wells that stand in only one of the two are to be shown, not dropped.

    Examples
    --------
    >>> from plate_maps import Join, Well
    >>> Join(matched=(Well(2, 3),), only_in_scan=(), only_in_map=(Well(2, 4),)).only_in_map[0].name
    'B04'
    """

    matched: tuple[Well, ...]
    only_in_scan: tuple[Well, ...]
    only_in_map: tuple[Well, ...]


@dataclass(frozen=True)
class PlateMap:
    """Well ► Condition for one plate, in well order.

    `source` is the file's name; it takes no part in equality of content, which is `digest()`.
    A well is named by its text or as a Well; a notebook draws the map in the shape of the plate.

    Examples
    --------
    >>> from plate_maps import Condition, Control, PlateFormat, PlateMap, Well
    >>> vehicle = Condition("HC-01", "DMSO", 0.0, Control.VEHICLE)
    >>> treated = Condition("HC-01", "riluzole", 1e-6)
    >>> plate_map = PlateMap(PlateFormat(8, 12), {Well(2, 3): vehicle, Well(2, 4): treated})
    >>> plate_map
    PlateMap('', 96-well (8 × 12), 2 wells, 1 line, 1 compound)
    >>> plate_map["B04"].compound
    'riluzole'
    >>> "b3" in plate_map, Well(2, 4) in plate_map, "C05" in plate_map
    (True, True, False)
    >>> plate_map["C05"]
    Traceback (most recent call last):
    KeyError: 'plate map has no well C05; it has 2 wells: B03, B04'
    """

    format: PlateFormat
    conditions: Mapping[Well, Condition]
    source: str = ""

    def __getitem__(self, well: Well | str) -> Condition:
        """What a well holds. Raises KeyError naming the wells there are."""
        name = " ".join(filter(None, ("plate map", self.source)))
        try:
            place = Well.parse(well) if isinstance(well, str) else well
        except ValueError as error:
            raise KeyError(f"{name}: {error}") from None
        if place in self.conditions:
            return self.conditions[place]
        if place not in self.format:
            raise KeyError(f"{name}: {place} is not a well of a {self.format} plate")
        shown = ", ".join(w.name for w in list(self.conditions)[:12])
        more = ", …" if len(self.conditions) > 12 else ""
        raise KeyError(f"{name} has no well {place}; it has {len(self)} wells: {shown}{more}")

    def __contains__(self, well: Well | str) -> bool:
        try:
            return (Well.parse(well) if isinstance(well, str) else well) in self.conditions
        except ValueError:
            return False

    def __repr__(self) -> str:
        parts = ((len(self), "well"), (len(self.lines), "line"), (len(self.compounds), "compound"))
        counts = ", ".join(f"{n} {noun}{'' if n == 1 else 's'}" for n, noun in parts)
        return f"PlateMap({self.source!r}, {self.format}, {counts})"

    def _repr_html_(self) -> str:
        """The plate as a picture, for notebooks."""
        from plate_maps.picture import picture

        return picture(self)

    def __iter__(self) -> Iterator[Well]:
        return iter(self.conditions)

    def __len__(self) -> int:
        return len(self.conditions)

    @property
    def lines(self) -> tuple[str, ...]:
        """Line names in alphabetical order."""
        return tuple(sorted({c.line for c in self.conditions.values()}))

    @property
    def compounds(self) -> tuple[str, ...]:
        """Compounds that are tested at doses (controls left out), in alphabetical order."""
        return tuple(
            sorted(
                {
                    c.compound
                    for c in self.conditions.values()
                    if c.control is Control.NONE and c.compound
                }
            )
        )

    def vehicle_wells(self, line: str | None = None) -> tuple[Well, ...]:
        """Vehicle wells, of one line if named."""
        return tuple(
            w for w, c in self.conditions.items() if c.is_vehicle and line in (None, c.line)
        )

    def join(self, scanned: Iterable[Well]) -> Join:
        """Match the wells of a scan with the map's."""
        seen = set(scanned)
        mapped = set(self.conditions)
        return Join(
            tuple(sorted(seen & mapped)), tuple(sorted(seen - mapped)), tuple(sorted(mapped - seen))
        )

    def records(self) -> list[dict[str, object]]:
        """One plain dict per well, in well order; what `from_records` reads back."""
        return [
            {
                "well": well.name,
                "line": c.line,
                "genotype": c.genotype,
                "compound": c.compound,
                "dose_molar": c.dose_molar,
                "control": c.control.value,
                "batch": c.batch,
                "replicate": c.replicate,
                "annotations": [list(pair) for pair in c.annotations],
            }
            for well, c in sorted(self.conditions.items())
        ]

    @classmethod
    def from_records(
        cls, fmt: PlateFormat, records: Iterable[Mapping[str, object]], source: str = ""
    ) -> PlateMap:
        """Rebuild a map from `records()`, as it is kept beside a run."""
        conditions: dict[Well, Condition] = {}
        for r in records:
            dose = r["dose_molar"]
            pairs = r["annotations"]
            if not isinstance(pairs, list):
                raise ValueError(
                    f"plate map record of well {r['well']}: annotations must be a list of pairs"
                )
            conditions[Well.parse(str(r["well"]))] = Condition(
                line=str(r["line"]),
                compound=str(r["compound"]),
                dose_molar=None if dose is None else float(str(dose)),
                control=Control(str(r["control"])),
                genotype=str(r["genotype"]),
                batch=str(r["batch"]),
                replicate=str(r["replicate"]),
                annotations=tuple((str(k), str(v)) for k, v in pairs),
            )
        return cls(fmt, dict(sorted(conditions.items())), source)

    def digest(self) -> str:
        """SHA-256 (hex) of the map's content.

        It is the same for CSV, XLSX, long and grid forms of one map.
        """
        content = {
            "rows": self.format.rows,
            "columns": self.format.columns,
            "wells": self.records(),
        }
        return hashlib.sha256(
            json.dumps(content, sort_keys=True, ensure_ascii=False).encode()
        ).hexdigest()
