"""The neurites of a corrected field: one mask, outside the somas.

Engines give neurites as a mask of 0 and 1 without somas, and what is measured on them rests on
both: length inside a soma does not belong to a neurite. A reviewer may paint a
soma over neurites, or draw a neurite through a soma, or with any number; each of these leaves such
a mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]
    Stored = NDArray[np.int32]

NEURITES = "neurites"


def neurite_mask(neurites: Labels, somas: Labels | None) -> Stored:
    """Neurites (Y, X) as 0 and 1, without what lies under somas."""
    import numpy as np

    mask = np.asarray(neurites) > 0
    if somas is not None:
        mask &= np.asarray(somas) == 0
    return np.asarray(mask, np.int32)


def with_neurite_mask(labels: Mapping[str, Stored]) -> dict[str, Stored]:
    """A field's labels, the neurites as `neurite_mask` gives them; other arrays are the same."""
    if NEURITES not in labels:
        return dict(labels)
    return {**labels, NEURITES: neurite_mask(labels[NEURITES], labels.get("somas"))}
