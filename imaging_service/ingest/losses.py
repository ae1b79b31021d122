"""What a scan should hold and does not, as findings by well.

Strategy. What should be there is what the instrument announces; where it announces nothing, what
other wells of the plate have. A field of which no image is there is a lost field: its well is
analysed without it, and says so. A field that lacks a channel, a plane or a time point is there,
and fails its well when it is read; here it is named before anything is read. Wells that lack the
same are named in one finding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from imaging_service.ingest.plan import FindingKind, ImageRef, PlatePlan, ScanFinding
from plate_maps import Well

# Names of files that one finding lists; the plan holds all.
_NAMED = 20


def with_losses(plan: PlatePlan) -> PlatePlan:
    """The plan with lost wells and fields among its missing images, and all its findings.

    Its notes are the reader's remarks and every finding in words.
    """
    plan = replace(plan, missing=tuple(sorted({*plan.missing, *_lost_places(plan)})))
    findings = (
        *plan.findings,
        *_instrument(plan),
        *_fields(plan),
        *_files(plan),
        *_incomplete(plan),
        *_counts(plan),
    )
    return replace(plan, findings=findings, notes=(*plan.notes, *(f.message for f in findings)))


def fields_of(plan: PlatePlan) -> int:
    """Number of fields that each well should have."""
    numbers = {i.field for i in (*plan.images, *plan.missing, *plan.broken)}
    return max(plan.announced.fields, len(numbers))


def loss_of(plan: PlatePlan, well: Well) -> str:
    """What is lost of a well's fields, in words: "1 of 2 fields: field 2 is lost (REASON)".

    Empty where none is.
    """
    lost = {field: why for (of, field), why in plan.lost_fields().items() if of == well}
    if not lost:
        return ""
    there = len({i.field for i in plan.images if i.well == well})
    named = "; ".join(
        f"{_fields_named(numbers)} lost{f' ({why})' if why else ''}"
        for why, numbers in _by_reason(lost).items()
    )
    return f"{there} of {there + len(lost)} fields: {named}"


def _by_reason(lost: Mapping[int, str]) -> dict[str, list[int]]:
    grouped: dict[str, list[int]] = defaultdict(list)
    for field, why in sorted(lost.items()):
        grouped[why].append(field)
    return grouped


def _fields_named(numbers: Iterable[int]) -> str:
    listed = [str(n) for n in numbers]
    return f"field {listed[0]} is" if len(listed) == 1 else f"fields {', '.join(listed)} are"


def _lost_places(plan: PlatePlan) -> list[ImageRef]:
    """Fields that other wells have, and that no file and no record of the instrument is of."""
    known: dict[Well, set[int]] = defaultdict(set)
    for image in (*plan.images, *plan.missing, *plan.broken):
        known[image.well].add(image.field)
    expected = sorted({f for fields in known.values() for f in fields})
    why = "other wells have it"
    lost: list[ImageRef] = []
    for well, fields in known.items():
        lost += [ImageRef(well, f, 1, "", 1, "", reason=why) for f in expected if f not in fields]
    return lost


def _instrument(plan: PlatePlan) -> list[ScanFinding]:
    """Errors that the instrument recorded, in its own words."""
    said: dict[str, set[Well]] = defaultdict(set)
    for image in plan.missing:
        if image.reason and image.channel == "" and image.path:
            said[image.reason].add(image.well)
    return [
        ScanFinding(
            FindingKind.INSTRUMENT, f"the instrument recorded: {text}", tuple(sorted(wells))
        )
        for text, wells in said.items()
    ]


def _fields(plan: PlatePlan) -> list[ScanFinding]:
    """Lost fields, wells that lack the same together."""
    by_well: dict[Well, list[int]] = defaultdict(list)
    for well, field in sorted(plan.lost_fields()):
        by_well[well].append(field)
    together: dict[tuple[tuple[int, ...], bool], list[Well]] = defaultdict(list)
    there = {i.well for i in (*plan.images, *plan.broken)}
    for well, fields in by_well.items():
        together[tuple(fields), well in there].append(well)
    findings = []
    for (numbers, some), wells in together.items():
        if some:
            text = f"{_fields_named(numbers)} lost of {_wells(wells)}"
        else:
            text = f"no image of {_wells(wells)} is there"
        findings.append(ScanFinding(FindingKind.LOST, text, tuple(wells)))
    return findings


def _files(plan: PlatePlan) -> list[ScanFinding]:
    """Files that an index names and that are absent, per well and by name."""
    by_well: dict[Well, list[str]] = defaultdict(list)
    for image in sorted(plan.missing):
        if image.path and image.channel:
            by_well[image.well].append(image.path)
    there = {i.well for i in (*plan.images, *plan.broken)}
    findings = []
    for well, names in by_well.items():
        listed = ", ".join(names[:_NAMED]) + (
            f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        )
        every = "" if well in there else "all of its images, "
        findings.append(
            ScanFinding(
                FindingKind.LOST,
                f"well {well}: {len(names)} announced file(s) are not there, {every}{listed}",
                (well,),
            )
        )
    return findings


def _incomplete(plan: PlatePlan) -> list[ScanFinding]:
    """Fields that are there and lack a channel, planes or time points that others have."""
    held: dict[tuple[Well, int, int, str], int] = defaultdict(int)
    for image in plan.images:
        held[image.well, image.field, image.time, image.channel] += 1
    places = {key[:3] for key in held}
    channels = {key[3] for key in held}
    most = {c: max(n for key, n in held.items() if key[3] == c) for c in channels}
    findings = []
    for channel in sorted(channels, key=plan.channels.index):
        lacking = sorted(place for place in places if (*place, channel) not in held)
        if len(lacking) > len(places) / 2:
            findings.append(
                ScanFinding(
                    FindingKind.LOST,
                    f"channel {channel!r} is in {len(places) - len(lacking)} of {len(places)}"
                    " fields only",
                )
            )
        else:
            findings += _named_places(lacking, f"channel {channel!r} is not there")
        fewer = sorted(
            (key[:3]) for key, n in held.items() if key[3] == channel and n < most[channel]
        )
        findings += _named_places(
            fewer, f"channel {channel!r} has fewer than {most[channel]} planes"
        )
    times = {place[2] for place in places}
    for time in sorted(times) if len(times) > 1 else []:
        fields = {place[:2] for place in places}
        lacking = sorted((*f, time) for f in fields if (*f, time) not in places)
        findings += _named_places(lacking, f"time point {time} is not there")
    return findings


def _named_places(places: list[tuple[Well, int, int]], what: str) -> list[ScanFinding]:
    if not places:
        return []
    wells = tuple(sorted({well for well, _, _ in places}))
    named = ", ".join(dict.fromkeys(f"{well} field {field}" for well, field, _ in places))
    return [ScanFinding(FindingKind.LOST, f"{what} in {named}", wells)]


def _counts(plan: PlatePlan) -> list[ScanFinding]:
    """Numbers that the instrument announces and the folder does not hold."""
    told, there = plan.announced, plan.images
    stacks: dict[tuple[Well, int, int, str], int] = defaultdict(int)
    for image in there:
        stacks[image.well, image.field, image.time, image.channel] += 1
    counted = [
        ("time points", told.times, len({i.time for i in there})),
        ("fields per well", told.fields, fields_of(replace(plan, announced=type(told)()))),
        ("planes", told.planes, max(stacks.values(), default=0)),
    ]
    findings = [
        ScanFinding(FindingKind.LOST, f"{told.source} announces {wanted} {what}, {held} are there")
        for what, wanted, held in counted
        if wanted > held
    ]
    wells = sorted(set(told.wells) - set(plan.wells))
    if wells:
        findings.append(
            ScanFinding(
                FindingKind.LOST,
                f"{told.source} announces {len(told.wells)} wells; there is no image of"
                f" {_wells(wells)}",
                tuple(wells),
            )
        )
    absent = [c for c in told.channels if c not in {i.channel for i in there}]
    if absent:
        findings.append(
            ScanFinding(
                FindingKind.LOST,
                f"{told.source} announces {len(told.channels)} channels; there is no image of"
                f" {', '.join(repr(c) for c in absent)}",
            )
        )
    return findings


def _wells(wells: list[Well]) -> str:
    return f"well{'s' if len(wells) > 1 else ''} {', '.join(map(str, wells))}"
