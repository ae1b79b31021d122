"""What moves which number: every disturbance on a drawn plate, by every engine, as a heat map.

    python -m benchmarks.masks.matrix --out bench-output            # from the repository's folder

Fills the matrix of `phenotypes/columns/disturbances.py` with what is measured through the shipped
path. Writes `matrix.svg` and `.png`, `matrix.csv` (each cell: its worst column, how far it is off)
and `matrix.json` (all columns of all plates). Ends with an error if a cell does not hold and is
not marked as a known fault, or is marked and holds. `--read matrix.json` judges an earlier
measurement anew; `--only` and `--engine` choose rows and engines.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import vl_convert

from phenotypes.columns.disturbances import DISTURBANCES, GROUPS
from tests.matrix.filling import ENGINES, Cell, judge
from tests.matrix.plates import DRAWN
from tests.matrix.runs import Result, run

COLOURS = {
    "holds": "#7fbf7b",
    "follows the truth": "#4575b4",
    "moves": "#abd0e6",
    "withheld": "#bdbdbd",
    "fails, as known": "#e2604e",
    "fails, not known": "#67001f",
    "holds, marked as fault": "#762a83",
}


def measure(names: list[str], engines: list[str], stored: Path, again: dict[str, Result]):
    """(row, level, engine, before, after) of each disturbance; results are kept as they come."""
    rows = {row.name: row for row in DISTURBANCES}
    for engine in engines:
        for name in names:
            for level in rows[name].levels:
                pair = []
                for plate in DRAWN[name](level):
                    key = f"{engine} {plate}"
                    if key not in again:
                        began = time.perf_counter()
                        again[key] = run(plate, engine)
                        kept = {k: asdict(v) for k, v in again.items()}
                        stored.write_text(json.dumps(kept))
                        print(
                            f"{engine:10} {name} {level:g}: {time.perf_counter() - began:.1f} s",
                            flush=True,
                        )
                    pair.append(again[key])
                yield rows[name], level, engine, *pair


def state(cell: Cell) -> str:
    """The colour's name."""
    if cell.fault:
        return "fails, as known" if cell.state == "fails" else "holds, marked as fault"
    return "fails, not known" if cell.state == "fails" else cell.state


def panel(cells: list[Cell], title: str, groups: list[str]) -> dict[str, object]:
    """One heat map: disturbances × groups of columns."""
    order = list(dict.fromkeys((c.disturbance, c.level) for c in cells))
    units = {row.name: row.unit for row in DISTURBANCES}
    names = {
        (d, level): f"{d} {level:g} {units[d]}" if level or units[d] else d for d, level in order
    }
    values = [
        {
            "row": names[c.disturbance, c.level],
            "group": c.group,
            "state": state(c),
            "text": c.text,
        }
        for c in cells
        if c.state != "not measured"
    ]
    place = {
        "x": {
            "field": "group",
            "type": "nominal",
            "sort": groups,
            "title": None,
            "axis": {"orient": "top", "labelAngle": -50, "labelFontSize": 12, "labelLimit": 260},
        },
        "y": {
            "field": "row",
            "type": "nominal",
            "sort": [names[o] for o in order],
            "title": None,
            "axis": {"labelFontSize": 12, "labelLimit": 340},
        },
    }
    return {
        "title": {"text": title, "fontSize": 16, "anchor": "start"},
        "data": {"values": values},
        "width": {"step": 52},
        "height": {"step": 19},
        "encoding": place,
        "layer": [
            {
                "mark": {"type": "rect", "stroke": "white"},
                "encoding": {
                    "color": {
                        "field": "state",
                        "type": "nominal",
                        "title": None,
                        "scale": {"domain": list(COLOURS), "range": list(COLOURS.values())},
                        "legend": {"orient": "bottom", "labelFontSize": 13, "columns": 7},
                    }
                },
            },
            {
                "mark": {"type": "text", "fontSize": 10},
                "encoding": {
                    "text": {"field": "text"},
                    "color": {
                        "condition": {
                            "test": "datum.state == 'follows the truth' || indexof(datum.state, 'fault') >= 0"
                            " || indexof(datum.state, 'fails') == 0",
                            "value": "white",
                        },
                        "value": "#222",
                    },
                },
            },
        ],
    }


def picture(cells: list[Cell], out: Path) -> None:
    """Fixed assays above films, one panel per engine beside the other."""
    films = {row.name for row in DISTURBANCES if row.assay == "film"}
    rows = []
    for assay, wanted in (("fixed", False), ("film", True)):
        of_assay = [c for c in cells if (c.disturbance in films) is wanted]
        groups = [g.name for g in GROUPS if assay in g.assays]
        engines = list(dict.fromkeys(c.engine for c in of_assay))
        if of_assay:
            rows.append(
                {
                    "hconcat": [
                        panel([c for c in of_assay if c.engine == e], f"{e}, {assay}", groups)
                        for e in engines
                    ]
                }
            )
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "vconcat": rows,
        "background": "white",
        "config": {"view": {"stroke": None}},
    }
    svg = vl_convert.vegalite_to_svg(json.dumps(spec))
    (out / "matrix.svg").write_text(svg)
    png = np.frombuffer(vl_convert.svg_to_png(svg, scale=1.0), np.uint8)
    # A quarter of the bytes: the picture lies in the repository.
    best = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    cv2.imwrite(str(out / "matrix.png"), cv2.imdecode(png, cv2.IMREAD_COLOR), best)


def report(cells: list[Cell]) -> str:
    """The table for benchmarks/README.md: what holds per disturbance, and what does not."""
    engines = list(dict.fromkeys(c.engine for c in cells))
    lines = ["| disturbance | " + " | ".join(f"`{e}`" for e in engines) + " |"]
    lines.append("|---|" + "---|" * len(engines))
    for name in dict.fromkeys(c.disturbance for c in cells):
        entries = []
        for engine in engines:
            of = [c for c in cells if (c.disturbance, c.engine) == (name, engine)]
            judged = [c for c in of if c.state not in ("not measured", "moves")]
            failing = [c for c in judged if c.state == "fails"]
            text = f"{len(judged) - len(failing)} of {len(judged)}"
            faults = dict.fromkeys(c.fault for c in failing)
            entries.append("; ".join([text, *(_worst(fault, failing) for fault in faults)]))
        lines.append(f"| {name} | " + " | ".join(entries) + " |")
    return "\n".join(lines)


def _worst(fault: str, failing: list[Cell]) -> str:
    """A fault and the three groups that are furthest off by it, each at its worst level."""
    worst: dict[str, Cell] = {}
    for c in sorted(failing, key=lambda c: -c.worst):
        if c.fault == fault:
            worst.setdefault(c.group, c)
    shown = [f"{g} {c.text} at {c.level:g}" for g, c in list(worst.items())[:3]]
    more = f" and {len(worst) - 3} groups more" if len(worst) > 3 else ""
    return f"**{fault or 'not known'}**: {', '.join(shown)}{more}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("bench-output"))
    parser.add_argument("--only", nargs="*", default=[row.name for row in DISTURBANCES])
    parser.add_argument("--engine", nargs="*", default=list(ENGINES))
    parser.add_argument("--read", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    again: dict[str, Result] = {}
    if arguments.read:
        again = {k: Result(**v) for k, v in json.loads(arguments.read.read_text()).items()}
    cells = [
        cell
        for row, level, engine, before, after in measure(
            arguments.only, arguments.engine, arguments.out / "matrix.json", again
        )
        for cell in judge(row, level, engine, before, after)
    ]
    pl.DataFrame(
        [asdict(c) for c in cells], schema_overrides={"level": pl.Float64}, infer_schema_length=None
    ).write_csv(arguments.out / "matrix.csv")
    picture(cells, arguments.out)
    print(report(cells))
    wrong = [c for c in cells if not c.as_marked]
    for c in wrong:
        verdict = f"marked as {c.fault}, and holds" if c.fault else "does not hold"
        print(
            f"{c.engine}, {c.disturbance} {c.level:g}, {c.group}: {verdict}"
            f" ({c.column} {c.text}, {c.worst:.1f} × the tolerance, {c.why})"
        )
    judged = [c for c in cells if c.state not in ("not measured", "moves")]
    print(
        f"{len(judged)} cells judged: {sum(c.state != 'fails' for c in judged)} hold,"
        f" {sum(bool(c.fault) for c in cells)} marked as known faults, {len(wrong)} not as marked"
    )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
