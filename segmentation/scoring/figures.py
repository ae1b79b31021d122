"""Figures of accuracy as people read them."""

from __future__ import annotations

from collections.abc import Sequence

NAMES = {
    "neurite_f1": "neurites, F1 at 3 px",
    "length_error": "neurite length, median error of a field",
    "length_bias": "neurite length of all fields, bias",
    "count_error": "cells, median error of a field's count",
    "nuclei_ap": "nuclei, AP at IoU 0.5",
    "soma_ap": "somas, AP at IoU 0.5",
}
_PER_CENT = ("length_error", "length_bias", "count_error")


def figure_value(name: str, value: float) -> str:
    """A value with its unit.

    >>> figure_value("length_error", 0.0512), figure_value("nuclei_ap", 0.9)
    ('5.1 %', '0.900')
    """
    return f"{100 * value:.1f} %" if name in _PER_CENT else f"{value:.3f}"


def figure_words(name: str, figure: Sequence[float]) -> str:
    """A figure, (value, low, high) or (value,), with its name.

    >>> figure_words("neurite_f1", (0.91, 0.88, 0.93))
    'neurites, F1 at 3 px: 0.910 (0.880 … 0.930)'
    """
    value, *interval = (figure_value(name, v) for v in figure)
    low_high = f" ({' … '.join(interval)})" if interval else " (too few wells for an interval)"
    return f"{NAMES.get(name, name)}: {value}{low_high}"
