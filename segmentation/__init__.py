"""Pixels in, labels out.

Names are imported on first use, so that `import segmentation` costs nothing.

Examples
--------
>>> import segmentation
>>> segmentation.ROLES
('dna', 'neurite', 'identity', 'aggregate', 'granule', 'envelope', 'death')
>>> segmentation.COMPARTMENTS
('nuclei', 'somas', 'neurites', 'puncta', 'granules')
>>> segmentation.DEFAULT_ENGINE
'motornet'
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segmentation.engines.registry import (
        DEFAULT_ENGINE,
        Segmenter,
        available,
        load,
        segment,
        segment_all,
    )
    from segmentation.field import COMPARTMENTS, ROLES, Field, Segmentation
    from segmentation.filters.background import Illumination, estimate_illumination
    from segmentation.sizes import Sizes

__all__ = [
    "COMPARTMENTS",
    "DEFAULT_ENGINE",
    "ROLES",
    "Field",
    "Illumination",
    "Segmentation",
    "Segmenter",
    "Sizes",
    "available",
    "estimate_illumination",
    "load",
    "segment",
    "segment_all",
]

_REGISTRY, _FIELD = "segmentation.engines.registry", "segmentation.field"
_BACKGROUND = "segmentation.filters.background"
_MODULES = {
    "COMPARTMENTS": _FIELD,
    "DEFAULT_ENGINE": _REGISTRY,
    "ROLES": _FIELD,
    "Field": _FIELD,
    "Illumination": _BACKGROUND,
    "Segmentation": _FIELD,
    "Segmenter": _REGISTRY,
    "Sizes": "segmentation.sizes",
    "available": _REGISTRY,
    "estimate_illumination": _BACKGROUND,
    "load": _REGISTRY,
    "segment": _REGISTRY,
    "segment_all": _REGISTRY,
}

# Hidden from type checkers: behind a __getattr__ they would believe in every misspelt name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a public name on first use (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = getattr(import_module(_MODULES[name]), name)
        return globals()[name]


def __dir__() -> list[str]:
    """The public names, imported or not, and the module's other names."""
    return sorted({*globals(), *__all__})
