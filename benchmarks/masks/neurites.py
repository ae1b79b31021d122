"""Neurites against what a person traced, and on cells that have none.

    python -m benchmarks.masks.neurites                                   # traced fields kept for testing
    python -m benchmarks.masks.neurites --split tuning --floor 0.3 0.5 0.7
    python -m benchmarks.masks.neurites --negatives ../shared/data        # mm of neurite where there is none

Every traced pixel counts: no tolerance for what is dim, short or inside a bundle. Only cell bodies
and what the tracer called unknown are not judged. Skeletons and lengths are those that the service
measures (`phenotypes.cells.neurites.trace`), so that a mask too wide, a line drawn twice and a spur
cost what they cost in a table. `tophat` is the plain baseline: a white top-hat, one threshold.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from benchmarks.masks.traced import SPLITS, TracedField, read_traces
from phenotypes.cells.neurites import NeuriteGraph, trace
from phenotypes.cells.skeleton import skeleton_graph
from segmentation import Field, Segmentation, load, segment_all
from segmentation.engines.motornet.nuclei import read_nuclei
from segmentation.field import Image, Mask
from segmentation.scoring.accuracy import LineCounts, line_counts

ENGINES = ("motornet", "classical", "tophat")
TOLERANCES_PX = (2, 3)
NOTHING = LineCounts(0, 0, 0, 0)
# The baseline, chosen on the tuning fields: half the disc's width; what is brighter than this
# percentile does not move the threshold (a few saturated cells would); shorter pieces are dropped.
_TOPHAT_RADIUS_PX, _TOPHAT_PERCENTILE, _TOPHAT_LEAST_PX = 3, 97, 20
# No pixel size is known of these photographs, so an engine must hold at several.
FIBROBLASTS_UM = (0.45, 0.65, 1.0)
OTHERS_UM = 0.65


@dataclass(frozen=True)
class Score:
    """Skeleton pixels at each of TOLERANCES_PX, and lengths in µm. Scores add over images."""

    lines: tuple[LineCounts, ...] = (NOTHING,) * len(TOLERANCES_PX)
    found_um: float = 0.0
    true_um: float = 0.0

    def __add__(self, other: Score) -> Score:
        return Score(
            tuple(a + b for a, b in zip(self.lines, other.lines, strict=True)),
            self.found_um + other.found_um,
            self.true_um + other.true_um,
        )

    @property
    def length_error(self) -> float:
        """(found − true) / true."""
        return self.found_um / self.true_um - 1


def tophat(image: Image) -> Image:
    """White top-hat of an image smoothed by a pixel."""
    side = 2 * _TOPHAT_RADIUS_PX + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.0)
    return np.asarray(cv2.morphologyEx(smooth, cv2.MORPH_TOPHAT, disc), np.float32)


def baseline(image: Image) -> Mask:
    """Neurites by Otsu's threshold on a top-hat, short pieces dropped."""
    response = tophat(image)
    threshold = threshold_otsu(np.minimum(response, np.percentile(response, _TOPHAT_PERCENTILE)))
    mask = (response > threshold).astype(np.uint8)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    extent = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    keep = extent >= _TOPHAT_LEAST_PX
    keep[0] = False
    return np.asarray(keep[pieces], bool)


def graphs(engine: str, fields: Sequence[Field]) -> list[NeuriteGraph]:
    """The neurite graph of each field; `fields` are one plate, on which an engine is calibrated."""
    if engine == "tophat":
        return [trace(baseline(f.channel("neurite")), None, f.pixel_size_um) for f in fields]
    calibrated = load(engine, device="cpu").calibrate(fields)
    return [
        _graph(field, labels)
        for field, labels in zip(fields, segment_all(calibrated, fields), strict=True)
    ]


def _graph(field: Field, segmentation: Segmentation) -> NeuriteGraph:
    labels = segmentation.labels
    return trace(labels["neurites"] > 0, labels["somas"], field.pixel_size_um)


@dataclass(frozen=True)
class Skeleton:
    """Skeleton pixels (Y, X), and the length in µm that stands for each; 0 off the skeleton."""

    pixels: Mask
    length_um: NDArray[np.float64]

    def where(self, kept: Mask) -> Skeleton:
        """Only the pixels in `kept`."""
        return Skeleton(self.pixels & kept, np.where(kept, self.length_um, 0.0))


def skeleton(graph: NeuriteGraph, pixel_size_um: float) -> Skeleton:
    """As an image."""
    y, x = graph.graph.y, graph.graph.x
    pixels = np.zeros(graph.graph.shape, bool)
    length = np.zeros(graph.graph.shape)
    pixels[y, x] = True
    length[y, x] = graph.length_px * pixel_size_um
    return Skeleton(pixels, length)


def bright_enough(
    plate: Sequence[NeuriteGraph], images: Sequence[Image], floor: float
) -> list[Mask]:
    """A crude contrast floor: masks of the skeleton pixels that stay.

    A branch stays where its mean top-hat is at least `floor` times the median over the plate's
    branches; junction pixels stay with any branch that they touch.
    """
    means = []
    for one, image in zip(plate, images, strict=True):
        graph, contrast = one.graph, tophat(image)
        on = graph.branch >= 0
        values = contrast[graph.y[on], graph.x[on]]
        count = np.bincount(graph.branch[on])
        means.append(np.bincount(graph.branch[on], values) / np.maximum(count, 1))
    least = floor * float(np.median(np.concatenate(means))) if any(map(len, means)) else 0.0
    kept = []
    for one, mean in zip(plate, means, strict=True):
        graph = one.graph
        stays = np.zeros(len(graph), bool)
        on = graph.branch >= 0
        stays[on] = mean[graph.branch[on]] >= least
        for a, b in ((graph.first, graph.second), (graph.second, graph.first)):
            touches = graph.junction[b] & stays[a] & ~graph.junction[a]
            stays[b[touches]] = True
        mask = np.zeros(graph.shape, bool)
        mask[graph.y[stays], graph.x[stays]] = True
        kept.append(mask)
    return kept


def score(traced: TracedField, found: Skeleton) -> Score:
    """One field: precision over found pixels that are judged, recall over traced ones."""
    judged = traced.judged
    counts = []
    for tolerance in TOLERANCES_PX:
        precision = line_counts(traced.lines, found.pixels & judged, tolerance)
        recall = line_counts(traced.lines & judged, found.pixels, tolerance)
        counts.append(
            LineCounts(precision.predicted, precision.right, recall.true, recall.detected)
        )
    true = skeleton_graph(traced.lines)
    length = np.zeros(true.shape)
    length[true.y, true.x] = true.pixel_px * traced.field.pixel_size_um
    return Score(tuple(counts), float(found.length_um[judged].sum()), float(length[judged].sum()))


def negatives(shared: Path) -> Iterator[tuple[str, list[Field]]]:
    """Photographs of cells without neurites, set by set."""
    plain = [_grey(p) for p in sorted((shared / "negatives" / "fibroblasts").iterdir())]
    for pixel in FIBROBLASTS_UM:
        yield (
            f"fibroblasts at {pixel} µm/px",
            [Field(image[None], ("neurite",), pixel) for image in plain],
        )
    folder = shared / "bbbc013_half" / "images"
    pairs = [
        np.stack([_grey(p), _grey(p.with_name("Channel2" + p.name[len("Channel1") :]))])
        for p in sorted(folder.glob("Channel1-*.tif"))
    ]
    yield "U2OS, GFP", [Field(p, ("neurite", "dna"), OTHERS_UM) for p in pairs]
    nuclei = [image for _, image, _ in read_nuclei(shared / "nuclei_dsb2018", "test")]
    yield "nuclei as neurite channel", [Field(i[None], ("neurite",), OTHERS_UM) for i in nuclei]
    folder = shared / "negatives" / "fly_human"
    cells = [
        (p, p.with_name(p.name.replace(old, new)))
        for old, new in (("_F.TIF", "_D.TIF"), ("d2.tif", "d0.tif"))
        for p in sorted(folder.glob(f"*{old}"))
    ]
    yield (
        "fly and HT29 cells, actin",
        [
            Field(np.stack([_grey(p) for p in pair]), ("neurite", "dna"), OTHERS_UM)
            for pair in cells
        ],
    )


def _grey(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise FileNotFoundError(f"{path} is missing or not a picture")
    return np.asarray(image if image.ndim == 2 else image[..., 0], np.float32)


def picture(field: Field, found: Skeleton, traced: TracedField | None = None) -> NDArray[np.uint8]:
    """BGR: found lines red; where traced, right ones green and missed ones blue, unknown dark."""
    image = field.channel("neurite").astype(np.float32)
    low, high = np.percentile(image, [1, 99.5])
    grey = (255 * np.clip((image - low) / max(high - low, 1), 0, 1) ** 0.6).astype(np.uint8)
    canvas = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    right = np.zeros_like(found.pixels)
    if traced is not None:
        canvas[~traced.judged] //= 2
        near = cv2.dilate(traced.lines.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        right = found.pixels & near
        close = cv2.dilate(found.pixels.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        canvas[traced.lines & traced.judged & ~close] = (255, 120, 0)
    canvas[found.pixels] = (0, 0, 255)
    canvas[right] = (0, 220, 0)
    return np.asarray(
        cv2.resize(canvas, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST), np.uint8
    )


def report(
    engine: str,
    fields: Sequence[TracedField],
    floors: Sequence[float | None],
    pictures: Path | None = None,
) -> Iterator[str]:
    """One table row per contrast floor."""
    plate = graphs(engine, [one.field for one in fields])
    images = [np.asarray(one.field.channel("neurite"), np.float32) for one in fields]
    for floor in floors:
        found = [
            skeleton(graph, one.field.pixel_size_um)
            for graph, one in zip(plate, fields, strict=True)
        ]
        if floor is not None:
            kept = bright_enough(plate, images, floor)
            found = [f.where(k) for f, k in zip(found, kept, strict=True)]
        each = [score(one, f) for one, f in zip(fields, found, strict=True)]
        total = sum(each, Score())
        in_somas = sum(
            float(f.length_um[one.somas].sum()) for f, one in zip(found, fields, strict=True)
        )
        near, far = total.lines
        yield (
            f"| `{engine}` | {'–' if floor is None else floor} | {near.f1:.3f} | {far.f1:.3f} |"
            f" {far.precision:.2f} / {far.recall:.2f} | {total.length_error:+.0%} |"
            f" {np.median([abs(s.length_error) for s in each]):.0%} |"
            f" {in_somas / total.true_um:.0%} |"
        )
        if pictures is not None:
            for one, f in zip(fields, found, strict=True):
                path = pictures / f"{engine}_{one.name}_{floor or 0:g}.png"
                cv2.imwrite(str(path), picture(one.field, f, one))


def main() -> None:
    """Print the table of traced fields, or that of cells without neurites."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", nargs="+", default=ENGINES, help="engines, or tophat")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--without-dna", action="store_true", help="hide the nuclei")
    parser.add_argument("--floor", nargs="+", type=float, default=[], help="crude contrast floors")
    parser.add_argument("--negatives", type=Path, help="folder with the shared photographs")
    parser.add_argument("--pictures", type=Path, help="write pictures of what was found here")
    chosen = parser.parse_args()
    floors: list[float | None] = [None, *chosen.floor]
    if chosen.pictures is not None:
        chosen.pictures.mkdir(parents=True, exist_ok=True)
    if chosen.negatives is not None:
        print("| cells without neurites, mm/mm² | floor | " + " | ".join(chosen.engine) + " |")
        for name, fields in negatives(chosen.negatives):
            columns = [false_density(engine, fields, floors) for engine in chosen.engine]
            for n, floor in enumerate(floors):
                cells = " | ".join(f"{column[n]:.2f}" for column in columns)
                print(f"| {name} | {'–' if floor is None else floor} | {cells} |", flush=True)
        return
    print("| engine | floor | F1@2 px | F1@3 px | P / R @3 px | length | median error | in somas |")
    traced = read_traces(chosen.split, dna=not chosen.without_dna)
    for engine in chosen.engine:
        for row in report(engine, traced, floors, chosen.pictures):
            print(row, flush=True)


def false_density(
    engine: str, fields: Sequence[Field], floors: Sequence[float | None]
) -> list[float]:
    """Mm of neurite per mm² of all fields, one value per contrast floor."""
    plate = graphs(engine, fields)
    images = [np.asarray(f.channel("neurite"), np.float32) for f in fields]
    area_mm2 = sum(f.area_um2 for f in fields) / 1e6
    densities = []
    for floor in floors:
        found = [skeleton(g, f.pixel_size_um) for g, f in zip(plate, fields, strict=True)]
        if floor is not None:
            kept = bright_enough(plate, images, floor)
            found = [f.where(k) for f, k in zip(found, kept, strict=True)]
        densities.append(sum(float(f.length_um.sum()) for f in found) / 1e3 / area_mm2)
    return densities


if __name__ == "__main__":
    main()
