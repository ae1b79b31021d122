"""Colours of lines, the same in every picture of the same lines."""

from __future__ import annotations

from collections.abc import Sequence

# Told apart without colour vision of one kind, and seen on paper: Okabe & Ito (2008) with amber and
# sky darkened, which had too little contrast with white; in the dark `pages.js` gives them back.
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#7A4A00", "#798CEF", "#000000"]
# For more names than that, seen on paper and in the dark. Nobody tells so many apart by colour:
# every chart names its marks in words as well. Listed, because a browser's Vega-Lite takes no
# scheme as a range.
_MANY = [
    "#47719e",
    "#aa5807",
    "#407b39",
    "#d52322",
    "#995887",
    "#896651",
    "#357875",
    "#c3386a",
    "#756c6a",
    "#816c17",
    "#7095be",
    "#e2740a",
    "#55a34c",
    "#e76c6b",
    "#b782a8",
    "#ae8b76",
    "#46a09c",
    "#d77396",
    "#99908f",
    "#ab901e",
]


def colours_of(names: Sequence[str]) -> list[str]:
    """One colour per name, in the order given; from the 21st they repeat.

    Examples
    --------
    >>> colours_of(["L1", "L2"])
    ['#0072B2', '#D55E00']
    """
    colours = PALETTE if len(names) <= len(PALETTE) else _MANY
    return [colours[i % len(colours)] for i in range(max(1, len(names)))]
