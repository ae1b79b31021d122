"""What engines may expect of cells' sizes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Expected sizes in µm. The defaults suit human iPSC motor neurons."""

    nucleus_diameter_um: float = 11.0
    min_nucleus_area_um2: float = 20.0
    neurite_width_um: float = 3.0
    max_soma_reach_um: float = 14.0
