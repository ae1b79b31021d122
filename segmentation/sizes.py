"""What engines may expect of cells: their sizes, and how far a neurite stands out."""

from __future__ import annotations

from typing import Annotated

from pydantic.dataclasses import dataclass

from segmentation.settings import STRICT, Positive, Share, meaning


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Sizes:
    """Expected sizes in µm and µm², and the neurites' contrast.

    The defaults suit human iPSC motor neurons.

    Examples
    --------
    >>> from segmentation import Sizes
    >>> Sizes(nucleus_diameter_um=9.0).nucleus_diameter_um
    9.0
    """

    nucleus_diameter_um: Annotated[Positive, meaning("Expected diameter, for splitting.")] = 11.0
    min_nucleus_area_um2: Annotated[Positive, meaning("Smaller pieces are debris.")] = 20.0
    neurite_width_um: Annotated[Positive, meaning("Nothing thinner is a soma.")] = 3.0
    max_soma_reach_um: Annotated[
        Positive, meaning("How far a soma reaches beyond its nucleus.")
    ] = 14.0
    neurite_contrast: Annotated[
        Share,
        meaning(
            "Stretches of neurite with less than this share of the contrast of the plate's median"
            " one are left out, as a tracer leaves out what is dim or out of focus."
        ),
    ] = 0.3
