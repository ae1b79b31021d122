"""Fields in which a person traced the neurites: `benchmarks/traces`, one .json per field.

How they were traced, what was left out and who may use the pictures is in benchmarks/traces/README.md.

    python -m benchmarks.masks.traced --samples SAMPLES     # the tuning fields, to train `motornet` on
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from phenotypes.cells.skeleton import skeletonize
from segmentation import Field
from segmentation.engines.motornet.samples import SIDE
from segmentation.engines.motornet.traced import traced_samples
from segmentation.field import Mask

TRACES = Path(__file__).parents[1] / "traces"
SPLITS = ("tuning", "test")
# Within this many pixels of a traced line a pixel is never "unknown": every traced pixel counts.
_SURE_PX = 3

# Traced fields are learnt from at these multiples of their pixel size: neurites of other widths, and
# crops that do not lie alike.
SCALES = (0.6, 0.75, 0.9, 1.0, 1.15)
# Bodies were outlined roughly: this far around them nothing of neurites is learnt.
_ROUGH_PX = 3

Line = Sequence[Sequence[float]]


@dataclass(frozen=True)
class TracedField:
    """A field and what was traced in it; `somas` and `unknown` are not judged."""

    name: str
    split: str
    field: Field
    lines: Mask
    somas: Mask
    unknown: Mask

    @property
    def judged(self) -> Mask:
        """Pixels in which a skeleton is either right or wrong."""
        return ~self.somas & ~self.unknown


def drawn(lines: Sequence[Line], shape: tuple[int, int]) -> Mask:
    """One-pixel skeleton (Y, X) of polylines of y, x."""
    image = np.zeros(shape, np.uint8)
    cv2.polylines(image, [_points(line) for line in lines], False, 1)
    return skeletonize(image > 0)


def _filled(outlines: Sequence[Line], shape: tuple[int, int]) -> Mask:
    image = np.zeros(shape, np.uint8)
    for outline in outlines:
        cv2.fillPoly(image, [_points(outline)], 1)
    return np.asarray(image > 0, bool)


def _points(line: Line) -> NDArray[np.int32]:
    return np.round(np.asarray(line, float)).astype(np.int32)[:, None, ::-1]


def traced_field(
    name: str,
    split: str,
    field: Field,
    neurites: Sequence[Line],
    somas: Sequence[Line] = (),
    unknown: Sequence[Line] = (),
) -> TracedField:
    """From polylines and outlines of y, x to masks."""
    if split not in SPLITS:
        raise ValueError(f"{name}: split {split!r} is not one of {', '.join(SPLITS)}")
    lines = drawn(neurites, field.shape)
    near = cv2.dilate(
        lines.astype(np.uint8),
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _SURE_PX + 1, 2 * _SURE_PX + 1)),
    )
    doubtful = _filled(unknown, field.shape) & (near == 0)
    return TracedField(name, split, field, lines, _filled(somas, field.shape), doubtful)


def read_traces(
    split: str | None = None, folder: Path = TRACES, *, dna: bool = True
) -> list[TracedField]:
    """The traced fields of a split, or all, by name; `dna=False` hides the nuclei."""
    fields = []
    for path in sorted(folder.glob("*.json")):
        described = json.loads(path.read_text())
        if split is not None and described["split"] != split:
            continue
        channels = {
            role: _picture(folder / name)
            for role, name in described["channels"].items()
            if dna or role != "dna"
        }
        field = Field(
            np.stack(list(channels.values())), tuple(channels), described["pixel_size_um"]
        )
        fields.append(
            traced_field(
                path.stem,
                described["split"],
                field,
                described["neurites"],
                described["somas"],
                described["unknown"],
            )
        )
    return fields


def _picture(path: Path) -> NDArray[np.generic]:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise FileNotFoundError(f"{path} is missing or not a picture")
    return np.asarray(image)


def training_samples(folder: Path = TRACES) -> Iterator[tuple[str, dict[str, NDArray[np.generic]]]]:
    """(name, sample) of the tuning fields, with and without DNA, at each of SCALES.

    Only neurites are learnt: bodies were outlined too roughly, and nuclei were not outlined.
    """
    around = np.ones((2 * _ROUGH_PX + 1,) * 2, np.uint8)
    for dna in (True, False):
        for one in read_traces("tuning", folder, dna=dna):
            rough = cv2.dilate(one.somas.astype(np.uint8), around) > 0
            for scale in SCALES:
                field = replace(one.field, pixel_size_um=scale * one.field.pixel_size_um)
                pieces = traced_samples(
                    field,
                    {"neurites": (one.lines & ~one.somas).astype(np.int32)},
                    SIDE,
                    (one.unknown | rough) & ~one.lines | one.somas,
                )
                for n, piece in enumerate(pieces):
                    yield f"{one.name}-{'dna' if dna else 'alone'}-{scale}-{n}", piece


def main() -> None:
    """Write the samples of the tuning fields into a folder of samples."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=Path, required=True)
    folder = parser.parse_args().samples
    folder.mkdir(parents=True, exist_ok=True)
    for name, sample in training_samples():
        with (folder / f"traced-{name}.npz").open("wb") as stream:
            np.savez(stream, allow_pickle=False, **sample)


if __name__ == "__main__":
    main()
