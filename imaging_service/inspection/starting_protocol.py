"""A protocol to start from, written from what a scan says of itself.

What the scan does not say stands there as a comment: a protocol with a gap is refused, one with a
guess in it is not. A role is proposed only where the channel's name is that of a stain.
"""

from __future__ import annotations

import json
import re

from imaging_service.inspection.survey import Survey
from imaging_service.protocol import Acquisition, Role
from phenotypes.films.deaths import DEFINITIONS

# Words of channel names ► role. Fluorophores say nothing: any stain may carry one.
_STAINS: dict[Role, str] = {
    "dna": r"dapi|hoechst|draq ?5|h33342|nuclei",
    "neurite": r"tubb3|tuj1|tuj-1|map2|b3-?tubulin|neurites?|smi-?31|smi-?32",
    "identity": r"isl-?1|islet-?1|hb9|mnx1|chat",
    "aggregate": r"tdp-?43|tardbp|p62|sqstm1|fus",
    "granule": r"g3bp1?|tia-?1|stress granules?",
    "envelope": r"lamin ?(?:a/c|b1?|b2)?|nup\d+|nucleoporins?",
    "death": r"propidium iodide|sytox(?: \w+)?|annexin(?: v)?",
}


def proposed_roles(names: tuple[str, ...]) -> dict[Role, str]:
    """Role ► channel for channels that are called after a stain, where one channel fits."""
    roles: dict[Role, str] = {}
    for role, words in _STAINS.items():
        pattern = re.compile(rf"(?<![a-z0-9])(?:{words})(?![a-z0-9])", re.IGNORECASE)
        fits = [name for name in names if pattern.search(name)]
        if len(fits) == 1 and fits[0] not in roles.values():
            roles[role] = fits[0]
    return roles


def missing_roles(names: tuple[str, ...]) -> str:
    """What the protocol must say of its channels; empty where their names say it."""
    roles = proposed_roles(names)
    if "dna" in roles or "neurite" in roles:
        return ""
    return (
        "channels: no channel is called after a stain of nuclei or neurites; say which is which"
        f" ({', '.join(repr(name) for name in names)})"
    )


def starting_protocol(survey: Survey, acquisition: Acquisition | None = None) -> str:
    """A protocol for the scan as TOML; what must be decided by a person is a comment."""
    plan, acquisition = survey.plan, acquisition or Acquisition()
    roles = proposed_roles(plan.channels)
    lines = [
        f"name = {_text(re.sub(r'[^A-Za-z0-9_-]+', '-', plan.name).strip('-') or 'plate')}",
        "",
        "[channels]",
        "# role = the channel's name; roles: dna, neurite, identity, aggregate, granule, envelope,"
        " death",
    ]
    lines += [
        f"{role} = {_text(channel)}    # by its name; check" for role, channel in roles.items()
    ]
    lines += [
        f"# … = {_text(channel)}" for channel in plan.channels if channel not in roles.values()
    ]
    lines += ["", "[acquisition]"]
    if acquisition.reader != "auto":
        lines.append(f"reader = {_text(acquisition.reader)}")
    if acquisition.file_pattern != "auto":
        lines.append(f"file_pattern = {_text(acquisition.file_pattern)}")
    if acquisition.pixel_size_um is not None:
        lines.append(f"pixel_size_um = {acquisition.pixel_size_um!r}")
    elif plan.pixel_size_um is None:
        lines.append("# pixel_size_um = …    # µm per pixel; the scan does not say, and must")
    else:
        lines.append(f"# pixel_size_um: {plan.pixel_size_um:.6g} by the scan{_source(survey)}")
    if len(survey.times) > 1:
        lines += _of_times(survey, acquisition)
    lines += ["", "[segmentation]", 'engine = "motornet"']
    return "\n".join(lines) + "\n"


def _of_times(survey: Survey, acquisition: Acquisition) -> list[str]:
    first, last = survey.times[0], survey.times[-1]
    if acquisition.time_point is not None:
        return [f"time_point = {acquisition.time_point}"]
    steps = [survey.plan.hours[t] for t in survey.times if t in survey.plan.hours]
    interval = f"{steps[1] - steps[0]:.4g}" if len(steps) > 1 else "…"
    return [
        f"# Either one of the time points {first} to {last}:",
        f"# time_point = {first}",
        "# or all of them, to follow neurons through time:",
        f"# frame_interval_h = {interval}",
        "# [survival]",
        f'# definition = "…"    # {", ".join(DEFINITIONS)}',
    ]


def _source(survey: Survey) -> str:
    return f" ({survey.plan.pixel_size_source})" if survey.plan.pixel_size_source else ""


def _text(value: str) -> str:
    """A TOML basic string, which JSON's rules also make."""
    return json.dumps(value, ensure_ascii=False)
