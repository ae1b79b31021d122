"""The templates of reports and pages, apart from what draws: a server starts with them alone."""

from __future__ import annotations

import math
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from plate_maps.conditions import format_dose
from segmentation.scoring.figures import figure_words

TEMPLATES = Path(__file__).parent / "templates"


def environment() -> Environment:
    """The templates; everything is escaped, and an undefined name is an error."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["number"] = number
    env.filters["dose"] = format_dose
    env.filters["accuracy"] = figure_words
    return env


def number(value: object, digits: int = 3) -> str:
    """A number with three significant digits; "–" where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
