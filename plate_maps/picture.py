"""A plate map as a small picture for notebooks: the plate's shape, one colour per line.

Vehicle wells are open rings, controls carry + or −, and a treated well is darker the higher its
dose among those of its compound, and carries the compound's number where there are at most nine.
Everything that a well holds stands in its tooltip.
"""

from __future__ import annotations

from html import escape

from plate_maps.colours import colours_of
from plate_maps.conditions import Condition, Control, format_dose
from plate_maps.plate_map import PlateMap
from plate_maps.wells import Well, row_letters

_MARKS = {Control.POSITIVE: "+", Control.NEGATIVE: "−"}
_FAINTEST = 0.25
_MOST_NUMBERS = 9
_MARGIN = 22
# Also in a dark notebook: the colours of lines are chosen for paper.
_PAPER = "background:#fff;color:#222;padding:6px;display:inline-block"


def picture(plate_map: PlateMap) -> str:
    """The map as HTML with one inline SVG and a legend; all text of the map is escaped."""
    fmt = plate_map.format
    pitch = max(9, min(26, 460 // fmt.columns))
    colours = dict(zip(plate_map.lines, colours_of(plate_map.lines), strict=False))
    shades = _shades(plate_map)
    numbers = {name: str(i) for i, name in enumerate(plate_map.compounds, start=1)}
    if len(numbers) > _MOST_NUMBERS or pitch < 12:
        numbers = {}
    width, height = _MARGIN + fmt.columns * pitch + 2, _MARGIN + fmt.rows * pitch + 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="9" text-anchor="middle" fill="currentColor">'
    ]
    # Names of rows and columns closer than their own height would lie over each other.
    step = 1 if pitch >= 12 else 4
    rows, columns = range(1, fmt.rows + 1), range(1, fmt.columns + 1)
    middle = _MARGIN - pitch / 2
    parts += [
        f'<text x="{middle + c * pitch}" y="{_MARGIN - 6}">{c}</text>' for c in columns[::step]
    ]
    parts += [
        f'<text x="10" y="{middle + r * pitch + 3}">{row_letters(r)}</text>' for r in rows[::step]
    ]
    parts += [
        _well(Well(r, c), plate_map, colours, shades, numbers, pitch) for r in rows for c in columns
    ]
    parts.append("</svg>")
    legend = " ".join(
        '<span style="white-space:nowrap;margin-right:10px"><span'
        f' style="color:{colour}">&#9679;</span> {escape(line)}</span>'
        for line, colour in colours.items()
    )
    named = " &nbsp; ".join(f"{number} {escape(name)}" for name, number in numbers.items())
    return (
        f'<div style="{_PAPER}"><div>{escape(repr(plate_map))}</div>'
        f"{''.join(parts)}<div>{legend}</div><div>{named}</div><div>&#9675;"
        " vehicle &nbsp; + − positive and negative control &nbsp; darker: higher dose &nbsp; grey"
        " dot: empty</div></div>"
    )


def _shades(plate_map: PlateMap) -> dict[tuple[str, float], float]:
    """(Compound, dose) ► opacity by the dose's rank among those of its compound."""
    doses: dict[str, set[float]] = {}
    for condition in plate_map.conditions.values():
        if condition.control is Control.NONE and condition.dose_molar is not None:
            doses.setdefault(condition.compound, set()).add(condition.dose_molar)
    return {
        (compound, dose): (
            1.0 if len(ladder) == 1 else _FAINTEST + (1 - _FAINTEST) * rank / (len(ladder) - 1)
        )
        for compound, ladder in doses.items()
        for rank, dose in enumerate(sorted(ladder))
    }


def _well(
    well: Well,
    plate_map: PlateMap,
    colours: dict[str, str],
    shades: dict[tuple[str, float], float],
    numbers: dict[str, str],
    pitch: int,
) -> str:
    x, y = _MARGIN + (well.column - 0.5) * pitch, _MARGIN + (well.row - 0.5) * pitch
    condition = plate_map.conditions.get(well)
    if condition is None:
        return f'<circle cx="{x}" cy="{y}" r="1" fill="#bbb"/>'
    colour, radius = colours[condition.line], pitch * 0.42
    opacity = shades.get((condition.compound, condition.dose_molar or 0.0), 1.0)
    hollow = condition.control is not Control.NONE
    mark = _MARKS.get(condition.control, "") if hollow else numbers.get(condition.compound, "")
    ink = colour if hollow else "#fff" if opacity > 0.6 else "#222"
    sign = (
        f'<text x="{x}" y="{y + 3}" fill="{ink}" font-weight="bold">{mark}</text>' if mark else ""
    )
    return (
        f"<g><title>{escape(_words(well, condition))}</title>"
        f'<circle cx="{x}" cy="{y}" r="{radius:.3g}" fill="{colour}"'
        f' fill-opacity="{0 if hollow else round(opacity, 2)}" '
        f'stroke="{colour}"/>{sign}</g>'
    )


def _words(well: Well, condition: Condition) -> str:
    """What a well holds, in one line."""
    dose = "" if condition.dose_molar is None else format_dose(condition.dose_molar)
    control = "" if condition.control is Control.NONE else condition.control.value
    parts = (
        well.name,
        condition.line,
        condition.genotype,
        condition.compound,
        dose,
        control,
        condition.batch,
    )
    return " · ".join(part for part in parts if part)
