"""The Segmenter protocol and the registry of engines.

An engine is named `kind` or `kind:model`, as in "classical" or "cellpose:cpsam_v2". Built-ins are
"module:attribute" strings that are imported on use, so that listing engines costs nothing; other
packages add theirs through the entry-point group `motor_neuron.segmenters`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from segmentation.filters.pipeline import in_order

if TYPE_CHECKING:
    # numpy stays outside: the protocol takes its default engine from here.
    from segmentation.field import Field, Segmentation

ENTRY_POINT_GROUP = "motor_neuron.segmenters"

# What `load`, `segment` and an assay protocol without `segmentation.engine` take.
DEFAULT_ENGINE = "motornet"

BUILT_IN: dict[str, str] = {
    "classical": "segmentation.engines.classical:create",
    "cellpose": "segmentation.engines.cellpose:create",
    "motornet": "segmentation.engines.motornet.engine:create",
}


@runtime_checkable
class Segmenter(Protocol):
    """What every engine can do.

    Examples
    --------
    >>> from segmentation import Segmenter, load
    >>> isinstance(load("classical"), Segmenter)
    True
    """

    name: str

    def segment(self, field: Field, *, seed: int = 0) -> Segmentation:
        """Label one field. The same field, thresholds and seed give the same labels."""
        ...

    def calibrate(self, fields: Sequence[Field]) -> Segmenter:
        """A copy with thresholds fixed from these fields (vehicle wells).

        With one set of thresholds all wells are comparable.
        """
        ...

    def with_thresholds(self, thresholds: Mapping[str, float | None]) -> Segmenter:
        """A copy with the thresholds from `describe()["thresholds"]` of a calibrated engine."""
        ...

    def describe(self) -> dict[str, object]:
        """Everything that decides the labels.

        Thresholds, and of a checkpoint its sha256, licence and origin.
        """
        ...


def checked_thresholds(thresholds: Mapping[str, float | None]) -> dict[str, float | None]:
    """Thresholds that can be used: positive, or None for a role that is absent.

    Raises ValueError that names the others. At 0 all noise is a cell. Only the noise that comes
    with light (`…_shot`) may be 0, and a camera's level (`…_background`) any number.
    """
    faults = [
        f"{name} = {value}"
        for name, value in thresholds.items()
        if value is not None and not (math.isfinite(value) and value >= _least(name))
    ]
    if faults:
        raise ValueError(
            f"thresholds must be positive numbers: {', '.join(faults)}; calibrate on vehicle fields"
            " that show cells"
        )
    return dict(thresholds)


def _least(name: str) -> float:
    if name.endswith("_background"):
        return -math.inf
    return 0.0 if name.endswith("_shot") else math.ulp(0.0)


def segment_all(engine: Segmenter, fields: Iterable[Field]) -> Iterator[Segmentation]:
    """Label many fields, in order.

    An engine with a `segment_all` of its own takes several at once; any other is fed while the next
    field is being read.

    Parameters
    ----------
    engine
        As `load` gives it, calibrated on vehicle fields where wells are to be compared.
    fields
        Read one by one, a few ahead of what has been asked for.

    Yields
    ------
    Segmentation
        One per field, in the order of the fields.

    Raises
    ------
    TypeError
        An element of `fields` is not a Field.

    Examples
    --------
    >>> import numpy as np
    >>> from segmentation import Field, load, segment_all
    >>> y, x = np.mgrid[:96, :96]
    >>> nuclei = np.where((y % 48 - 20) ** 2 + (x % 48 - 24) ** 2 < 9**2, 900, 100)
    >>> fields = [Field(plane[None], ("dna",), 0.65) for plane in (nuclei, nuclei[::-1])]
    >>> engine = load("classical").calibrate(fields)
    >>> [int(s.labels["nuclei"].max()) for s in segment_all(engine, fields)]
    [4, 4]
    """
    label_many = getattr(engine, "segment_all", None)
    yield from label_many(fields) if label_many is not None else in_order(engine.segment, fields)


def segment(
    field: Field, engine: str | Segmenter = DEFAULT_ENGINE, *, seed: int = 0
) -> Segmentation:
    """Label one field alone, for a first look; a plate is `calibrate`d and then `segment_all`.

    Parameters
    ----------
    field
        Pixels (C, Y, X) with their roles and pixel size.
    engine
        A name for `load`, "motornet" if not given, or an engine that is loaded already.
    seed
        Of engines that draw random numbers; none of the built-in ones does.

    Returns
    -------
    Segmentation
        Labels (Y, X) int32 per compartment.

    Raises
    ------
    TypeError
        `field` is not a Field.

    Examples
    --------
    >>> import numpy as np
    >>> from segmentation import Field, segment
    >>> y, x = np.mgrid[:96, :96]
    >>> nucleus = np.where((y - 40) ** 2 + (x - 48) ** 2 < 9**2, 900, 100)
    >>> segment(Field(nucleus[None], ("dna",), pixel_size_um=0.65), "classical")
    Segmentation('classical', 96 × 96 px, nuclei: 1, warnings: 1)
    >>> segment(nucleus)
    Traceback (most recent call last):
    TypeError: expected a segmentation.Field, got an array of shape (96, 96); ...
    """
    from segmentation.field import checked_field

    checked_field(field)
    loaded = load(engine) if isinstance(engine, str) else engine
    return loaded.segment(field, seed=seed)


def available() -> tuple[str, ...]:
    """Kinds of engine, built-in and from other packages, in alphabetical order.

    Examples
    --------
    >>> from segmentation import available
    >>> {"classical", "cellpose", "motornet"} <= set(available())
    True
    """
    return tuple(sorted({*BUILT_IN, *(e.name for e in entry_points(group=ENTRY_POINT_GROUP))}))


def load(
    name: str = DEFAULT_ENGINE,
    *,
    checkpoint: str | os.PathLike[str] = "",
    device: str = "auto",
    **options: Any,
) -> Segmenter:
    """Load an engine by name; without a name "motornet", the default engine.

    Parameters
    ----------
    name
        "motornet", "classical", or "cellpose:MODEL" with the name of a published model. The
        default is `segmentation.DEFAULT_ENGINE`, which is also that of an assay protocol.
    checkpoint
        File with the weights of a training of your own; the same as "motornet:FILE" or
        "cellpose:FILE".
    device
        "auto", "cpu" or "cuda".
    options
        Passed to the engine: `sizes=` (Sizes, in µm); `sha256=` to pin a checkpoint.

    Returns
    -------
    Segmenter
        Not calibrated: its thresholds come from each field alone, until `calibrate` fixes them from
        vehicle fields.

    Raises
    ------
    ValueError
        Unknown engine (the message lists the known ones) or device, or two checkpoints.
    ImportError
        The engine's packages are missing, with what to install.
    RuntimeError
        Device "cuda" without a CUDA device; no engine falls back to the CPU in silence.

    Examples
    --------
    >>> import segmentation
    >>> segmentation.load().name
    'motornet'
    >>> sizes = segmentation.Sizes(nucleus_diameter_um=9.0)
    >>> segmentation.load("classical", sizes=sizes).name
    'classical'
    >>> segmentation.load("clasical")
    Traceback (most recent call last):
    ValueError: unknown segmentation engine 'clasical'; known: cellpose, classical, motornet
    """
    kind, _, model = name.partition(":")
    if checkpoint:
        if model:
            raise ValueError(
                f"engine {name!r} names a model already; give it or checkpoint=, not both"
            )
        model = os.fspath(checkpoint)
    if device not in {"auto", "cpu", "cuda"}:
        raise ValueError(f"unknown device {device!r}; known: auto, cpu, cuda")
    target = BUILT_IN.get(kind)
    if target is None:
        plugins = [e for e in entry_points(group=ENTRY_POINT_GROUP) if e.name == kind]
        if not plugins:
            raise ValueError(
                f"unknown segmentation engine {name!r}; known: {', '.join(available())}"
            )
        create: Callable[..., Segmenter] = plugins[0].load()
    else:
        module, _, attribute = target.partition(":")
        create = getattr(import_module(module), attribute)
    return create(model, device=device, **options)
