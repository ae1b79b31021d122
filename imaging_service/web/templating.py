"""The templates of reports and pages, apart from what draws: a server starts with them alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from imaging_service.review.field_image import well_group
from imaging_service.web.assets import STATIC, asset
from phenotypes.columns.dictionary import columns
from phenotypes.columns.status_words import remark_words, status_words, with_reason
from phenotypes.columns.statuses import ResponseStatus
from plate_maps.conditions import format_dose
from segmentation.scoring.figures import figure_words

TEMPLATES = Path(__file__).parent / "templates"


@lru_cache
def environment() -> Environment:
    """The templates, compiled once; everything is escaped, an undefined name is an error."""
    env = Environment(
        loader=FileSystemLoader([TEMPLATES, STATIC]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["number"] = number
    env.filters["marked_up"] = marked_up
    env.filters["wrapped"] = wrapped
    env.filters["dose"] = dose
    env.filters["missing"] = missing
    env.filters["why"] = why
    env.filters["file_size"] = file_size
    env.filters["accuracy"] = figure_words
    env.filters["asset"] = asset
    env.filters["query"] = query
    env.filters["status_words"] = status_words
    env.filters["remarks"] = remark_words
    env.filters["tag"] = tag
    env.filters["meaning"] = meaning
    env.filters["zarr_path"] = well_group
    return env


def number(value: object, digits: int = 3, why: str = "") -> str:
    """A number with three significant digits; "–" where there is none, with why as its hint.

    Powers of ten are written out below a million.

    >>> number(0.12345), number(-381.6, 2), number(9.6e-5)
    ('0.123', '-380', '9.6e-05')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return missing(why)
    if not isinstance(value, float):
        return str(value)
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e+" in text and abs(value) < 1e6 else text


def dose(molar: float | None, why: str = "") -> str:
    """A dose with its unit; "–" where there is none, with why as its hint.

    >>> dose(3.5e-7), dose(None, "flat")
    ('350 nM', Markup('<span class="none" title="flat">–</span>'))
    """
    return missing(why) if molar is None else format_dose(molar)


def missing(why: str) -> str:
    """The sign of a value that is not there, with the reason as its hint."""
    return Markup('<span class="none" title="{}">–</span>').format(why) if why else "–"


def why(row: Mapping[str, object], of: str = "") -> str:
    """Why a row has no value in a column: its status with its reason.

    `of` begins the names of other columns that say so, such as "curve_".

    >>> why({"status": "too_few_doses", "reason": "2 doses"})
    'too few doses: 2 doses'
    >>> why({"status": "ok", "reason": ""})
    'not a part of this result'
    """
    status, reason = (str(row[f"{of}{name}"] or "") for name in ("status", "reason"))
    if status in ("", ResponseStatus.OK):
        return remark_words(reason) or "not a part of this result"
    return with_reason(status, reason)


def file_size(count: int) -> str:
    """Bytes in the unit that leaves one to three digits before the point; 1 kB is 1000 bytes.

    >>> file_size(999), file_size(1_234), file_size(5_600_000)
    ('999 bytes', '1.2 kB', '5.6 MB')
    """
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    size, unit = count / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if size < 999.95:
            break
        size, unit = size / 1000, larger
    return f"{size:.1f} {unit}"


def marked_up(sentence: str) -> Markup:
    """A sentence of which what stands between ` is code.

    >>> marked_up("run `a < b` first")
    Markup('run <code>a &lt; b</code> first')
    """
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if i % 2 else escape(part)
        for i, part in enumerate(sentence.split("`"))
    )


def wrapped(name: str) -> Markup:
    """A name that may go on in the next line after each _.

    >>> wrapped("live_density")
    Markup('live_<wbr>density')
    """
    return escape(name).replace("_", Markup("_<wbr>"))


def tag(status: str) -> Markup:
    """A status in words, in the look that it has; a hint gives the code of the table.

    >>> tag("not_monotone")
    Markup('<span class="tag not_monotone" title="not_monotone">rises and falls</span>')
    >>> tag("ok")
    Markup('<span class="tag ok">ok</span>')
    """
    said = status_words(status)
    hint = Markup(' title="{}"').format(status) if said != status else Markup("")
    return Markup('<span class="tag {}"{}>{}</span>').format(status, hint, said)


def meaning(name: str) -> str:
    """What a phenotype is, by the dictionary of columns; "" for a name that it does not have.

    >>> meaning("neurite_length_density"), meaning("")
    ('neurite_length_total / area.', '')
    """
    known = columns("well")
    return known[name].meaning if name in known else ""


def query(given: dict[str, object]) -> str:
    """The query of an address, without what is empty.

    >>> query({"line": "a&b", "page": None, "status": ""})
    '?line=a%26b'
    """
    kept = {k: v for k, v in given.items() if v not in (None, "", False)}
    return f"?{urlencode(kept)}" if kept else ""
