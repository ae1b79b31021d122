"""The Segmenter protocol and the registry of engines.

An engine is named `kind` or `kind:model`, as in "classical" or "cellpose:cpsam_v2". Built-ins are "module:attribute"
strings that are imported on use, so that listing engines costs nothing; other packages add theirs through the
entry-point group `motor_neuron.segmenters`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

from segmentation.field import Field, Segmentation
from segmentation.filters.pipeline import in_order

ENTRY_POINT_GROUP = "motor_neuron.segmenters"

BUILT_IN: dict[str, str] = {
    "classical": "segmentation.engines.classical:create",
    "cellpose": "segmentation.engines.cellpose:create",
    "motornet": "segmentation.engines.motornet.engine:create",
}


@runtime_checkable
class Segmenter(Protocol):
    """What every engine can do."""

    name: str

    def segment(self, field: Field, *, seed: int = 0) -> Segmentation:
        """Label one field. The same field, thresholds and seed give the same labels."""
        ...

    def calibrate(self, fields: Sequence[Field]) -> Segmenter:
        """A copy whose thresholds are fixed from these fields (vehicle wells), so that all wells are comparable."""
        ...

    def with_thresholds(self, thresholds: Mapping[str, float | None]) -> Segmenter:
        """A copy with the thresholds that `describe()["thresholds"]` of a calibrated engine gave."""
        ...

    def describe(self) -> dict[str, object]:
        """Everything that decides the labels: thresholds, and of a checkpoint its sha256, licence and origin."""
        ...


def segment_all(engine: Segmenter, fields: Iterable[Field]) -> Iterator[Segmentation]:
    """Label many fields, in order.

    An engine with a `segment_all` of its own takes several at once; any other is fed while the next field is being read.
    """
    own = getattr(engine, "segment_all", None)
    yield from own(fields) if own is not None else in_order(engine.segment, fields)


def available() -> tuple[str, ...]:
    """Kinds of engine, built-in and from other packages, in alphabetical order."""
    return tuple(sorted({*BUILT_IN, *(e.name for e in entry_points(group=ENTRY_POINT_GROUP))}))


def load(name: str, *, device: str = "auto", **options: Any) -> Segmenter:
    """Load an engine by name.

    Parameters
    ----------
    name
        "classical", or "cellpose:MODEL" with a model's name or a checkpoint file.
    device
        "auto", "cpu" or "cuda". "cuda" without one raises RuntimeError; nothing falls back to the CPU in silence.
    options
        Passed to the engine: `sizes=`; `sha256=` to pin a checkpoint.

    Raises
    ------
    ValueError
        Unknown engine (the message lists the known ones) or device.
    ImportError
        The engine's packages are missing, with what to install.
    """
    kind, _, model = name.partition(":")
    if device not in {"auto", "cpu", "cuda"}:
        raise ValueError(f"unknown device {device!r}; known: auto, cpu, cuda")
    target = BUILT_IN.get(kind)
    if target is None:
        found = [e for e in entry_points(group=ENTRY_POINT_GROUP) if e.name == kind]
        if not found:
            raise ValueError(f"unknown segmentation engine {name!r}; known: {', '.join(available())}")
        create: Callable[..., Segmenter] = found[0].load()
    else:
        module, _, attribute = target.partition(":")
        create = getattr(import_module(module), attribute)
    return create(model, device=device, **options)
