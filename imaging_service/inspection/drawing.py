"""A survey as lines of text for the terminal, with the plate drawn."""

from __future__ import annotations

from collections.abc import Mapping

from imaging_service.inspection.survey import Survey
from plate_maps import PlateFormat, Well
from plate_maps.wells import row_letters

WHOLE, PART, NONE, UNKNOWN = "●", "◐", "○", "·"
_LEGEND = (
    f"{WHOLE} whole   {PART} part is missing   {NONE} nothing is there   {UNKNOWN} not scanned"
)
# Findings that the terminal shows; --json has all.
_SHOWN = 20


def describe(survey: Survey) -> list[str]:
    """What a scan is, one fact per line, the plate, and what is missing."""
    plan = survey.plan
    stacks = {channel.planes for channel in survey.channels}
    size = (
        "not stated"
        if plan.pixel_size_um is None
        else f"{plan.pixel_size_um:.5g} µm"
        + (f" ({plan.pixel_size_source})" if plan.pixel_size_source else "")
    )
    lines = [
        f"Scan        {plan.root}",
        f"Plate       {plan.name}, {survey.format}, read by {plan.reader}",
        f"Holds       {survey.wells} wells × {survey.fields} field(s) × {len(survey.channels)}"
        f" channel(s) × {' or '.join(str(n) for n in sorted(stacks))} plane(s) ×"
        f" {len(survey.times)} time point(s)",
        f"Images      {survey.images:,} in {survey.files:,} file(s), {_bytes(survey.bytes)}",
        f"Pixel size  {size}",
    ]
    lines += [
        f"Channel {channel.number:<3} {channel.name!r}, {channel.planes} plane(s),"
        f" {channel.images:,} image(s)"
        for channel in survey.channels
    ]
    if plan.hours:
        hours = [plan.hours[t] for t in survey.times if t in plan.hours]
        lines.append(f"Hours       {', '.join(f'{h:.4g}' for h in hours)}")
    lines += ["", *plate(survey.format, survey.present), _LEGEND]
    if survey.missing:
        lines.append(f"{survey.missing:,} image(s) are missing.")
    remarks = [*(f.message for f in plan.findings), *survey.notes]
    if remarks:
        lines += ["", *(f"  - {remark}" for remark in remarks[:_SHOWN])]
        if len(remarks) > _SHOWN:
            lines.append(f"  - … and {len(remarks) - _SHOWN} more (--json lists all)")
    if not survey.images:
        lines += ["", "No image of the scan is there: nothing can be analysed."]
    if survey.needs:
        lines += ["", "The protocol must state:", *(f"  - {need}" for need in survey.needs)]
    return lines


def plate(fmt: PlateFormat, present: Mapping[Well, float]) -> list[str]:
    """The plate, one sign per well: whole, in part, nothing there, not scanned."""
    columns = range(1, fmt.columns + 1)
    labelled = {c for c in columns if c == 1 or c % 5 == 0 or fmt.columns <= 12}
    header = "".join(f"{c if c in labelled else '':>3}" for c in columns)
    lines = [f"   {header}"]
    for row in range(1, fmt.rows + 1):
        signs = "".join(f"{_sign(present.get(Well(row, c))):>3}" for c in columns)
        lines.append(f"{row_letters(row):>3}{signs}")
    return lines


def _sign(share: float | None) -> str:
    if share is None:
        return UNKNOWN
    return WHOLE if share >= 1 else PART if share > 0 else NONE


def _bytes(count: int) -> str:
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}" if unit != "bytes" else f"{count} bytes"
