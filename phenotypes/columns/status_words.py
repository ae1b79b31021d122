"""What each code of a table is called where a person reads it: a page, a chart or a report.

Tables keep the codes, which programs compare; `docs/methods.md` says at length what each means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

# Code ► what it is called. A code means the same in every column that has it.
STATUS_WORDS: Mapping[str, str] = MappingProxyType(
    {
        # Of most tables.
        "ok": "ok",
        "refused": "refused",
        "not_measured": "not measured",
        "no_value": "no value",
        "no_vehicle": "no vehicle wells",
        "too_few_vehicles": "too few vehicle wells",
        "vehicle_is_zero": "vehicle is zero",
        "too_few_wells": "too few wells",
        "too_few_cells": "too few cells",
        "too_few_doses": "too few doses",
        "too_few_batches": "too few batches",
        "too_few_donors": "too few donors",
        "too_few_rows": "too few rows",
        "one_batch": "one batch",
        "no_variation": "no variation",
        "no_common_dose": "no dose in common",
        "confounded_with_position": "position could explain it",
        # Wells and images.
        "done": "done",
        "failed": "failed",
        "skipped": "skipped",
        "excluded": "excluded",
        "unreadable": "unreadable",
        "blank": "blank",
        "compressed": "compressed with loss",
        "clipped": "clipped",
        "out_of_focus": "out of focus",
        "no_cells": "no cells",
        # Checks and controls.
        "warning": "warning",
        "not_assessable": "cannot be assessed",
        "too_few_control_wells": "too few control wells",
        # Curves.
        "flat": "flat",
        "below_tested_range": "EC50 below the tested doses",
        "above_tested_range": "EC50 above the tested doses",
        "not_determined": "not determined",
        "not_monotone": "rises and falls",
        "lack_of_fit": "no Hill curve fits",
        "batches_disagree": "batches disagree",
        "no_well_done": "every well failed",
        "pixel_size_too_coarse": "pixels too coarse",
        "attribution_conflict": "neurites cross too much",
        # Survival and growth.
        "informative_censoring": "arms lose neurons unequally",
        "several_sites": "several sites",
        "too_few_tracks": "too few neurons followed",
        "too_few_events": "too few deaths",
        "not_converged": "the fit did not converge",
        "no_dosing": "no run at the time of dosing",
        "vehicle_does_not_grow": "vehicle does not grow",
        # Lines, windows, rescue and potency.
        "expressed": "expressed",
        "not_expressed": "not expressed",
        "no_pair": "no isogenic partner",
        "unbounded": "window may be zero",
        "odd": "odd",
        "too_few_compounds": "too few compounds",
        "within": "within other batches",
        "outside": "outside other batches",
        "slopes_differ": "slopes differ",
        "no_curve": "no curve",
        "directions_differ": "directions differ",
        # Compounds, donors and sites.
        "not_tested": "not tested",
        "batches_not_shared": "compounds share no batches",
        "health_unknown": "health of the lines unknown",
        "collapsed": "no variance between donors",
        "homogeneous": "donors do not differ",
        "confounded_with_batch": "genes confounded with batches",
        "one_site": "one site",
        "agrees": "agrees",
        "differs": "differs",
        # How a track ended.
        "end_of_study": "alive at the end",
        "lost": "lost",
        "left_field": "left the field",
        "identity_conflict": "neurons could not be told apart",
        "focus_failure": "out of focus at its end",
        # What begins a remark of a field, well or plate.
        "death_threshold_refused": "no threshold for death",
        "identity_not_separable": "neurons and other cells cannot be told apart",
        "vehicle_empty": "empty vehicle well",
        "vehicle_outlier": "odd vehicle well",
        "compressed_with_loss": "compressed with loss",
        "channel_shifted": "channel shifted",
        "cytoplasm_too_thin": "cytoplasm too thin",
        "short_lines": "lines no longer than cells",
        "outside_of_culture": "outside of the culture",
    }
)
# Names of columns look alike, and are not in the table.
_CODE = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")


def status_words(code: str) -> str:
    """What a status is called; a code that a newer version wrote, with spaces.

    >>> status_words("attribution_conflict"), status_words("of_tomorrow")
    ('neurites cross too much', 'of tomorrow')
    """
    return STATUS_WORDS.get(code, code.replace("_", " "))


def with_reason(code: str, reason: str | None) -> str:
    """A status in words, with its reason where it has one.

    >>> with_reason("not_monotone", "highest at 1 µM"), with_reason("ok", "")
    ('rises and falls: highest at 1 µM', 'ok')
    """
    return f"{status_words(code)}: {remark_words(reason)}" if reason else status_words(code)


def remark_words(remarks: str) -> str:
    """Remarks of a table, with words in place of their codes.

    >>> remark_words("dim; vehicle_outlier: 3 live cells per mm²")
    'dim; odd vehicle well: 3 live cells per mm²'
    """
    return _CODE.sub(lambda code: STATUS_WORDS.get(code[0], code[0]), remarks)
