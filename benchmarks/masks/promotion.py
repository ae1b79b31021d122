"""How far phenotypes move when nothing that matters changed: the least margin of a promotion.

    python -m benchmarks.masks.promotion

The phantoms of `bench segmentation` are segmented by the shipped network as they are and turned by
a quarter. No cell changed, so what moves is neither an improvement nor a fault, and
`imaging_service.models.shifts.MARGINS` must lie well above it. An EC50 needs whole plates.
"""

from __future__ import annotations

import argparse

import numpy as np

from imaging_service.models.benchmark import benchmark_phantoms
from imaging_service.models.shifts import MARGINS, field_values, shift
from segmentation import Field, load, segment_all


class Seen:
    """A field as `field_values` takes it."""

    def __init__(self, field: Field) -> None:
        self.field = field


def turned(field: Field) -> Field:
    """The field turned by a quarter."""
    pixels = np.ascontiguousarray(np.rot90(field.pixels, axes=(1, 2)))
    return Field(pixels, field.roles, field.pixel_size_um)


def values(engine, fields: list[Field]) -> list[dict[str, float | None]]:
    calibrated = engine.calibrate(fields)
    answers = segment_all(calibrated, fields)
    return [field_values(Seen(f), s.labels) for f, s in zip(fields, answers, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phantoms", type=int, default=6, help="of each difficulty")
    arguments = parser.parse_args()
    engine = load("motornet", device="cpu")
    fields = [p.field for p in benchmark_phantoms(arguments.phantoms)]
    before, after = values(engine, fields), values(engine, [turned(f) for f in fields])
    for name, (margin, unit) in MARGINS.items():
        if name == "log10_ec50":
            continue
        one = shift(name, [(b[name], a[name]) for b, a in zip(before, after, strict=True)])
        print(
            f"{name:24} bias {one.bias:+.3f} {unit} (95 % {one.low:+.3f} … {one.high:+.3f}),"
            f" margin {margin}"
        )


if __name__ == "__main__":
    main()
