"""The service: bytes, rows, processes and HTTP around the science packages.

For a notebook: `analyze` a plate here and now, open a finished run with `LocalRun`, or talk to a
running service with `Client`. Names are imported on first use: `import imaging_service` needs
neither numpy nor torch.

Examples
--------
>>> import imaging_service
>>> imaging_service.__version__.count(".")
2
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imaging_service.client import Client
    from imaging_service.jobs.analyze import analyze_plate as analyze
    from imaging_service.protocol import AssayProtocol, load_protocol
    from imaging_service.review.local import LocalRun

__version__ = "0.2.0"

__all__ = ["AssayProtocol", "Client", "LocalRun", "__version__", "analyze", "load_protocol"]

_PLACES = {
    "AssayProtocol": ("imaging_service.protocol", "AssayProtocol"),
    "Client": ("imaging_service.client", "Client"),
    "LocalRun": ("imaging_service.review.local", "LocalRun"),
    "analyze": ("imaging_service.jobs.analyze", "analyze_plate"),
    "load_protocol": ("imaging_service.protocol", "load_protocol"),
}

# Hidden from type checkers: behind a __getattr__ they would believe in every misspelt name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a public name on first use (PEP 562)."""
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, attribute = _PLACES[name]
        globals()[name] = getattr(import_module(module), attribute)
        return globals()[name]


def __dir__() -> list[str]:
    """The public names, imported or not, and what the module has already."""
    return sorted({*globals(), *__all__})
