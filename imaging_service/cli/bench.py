"""How good and how fast the segmentation engines are: one table and one sheet of pictures.

Accuracy is measured on annotated photographs of nuclei where a folder of them is given, and on
phantoms: their truth is exact, but they are drawings. Time and memory are measured in a fresh
process per engine, so that one cannot warm the caches of another.
"""

from __future__ import annotations

import csv
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import AnnotationError, EngineError
from phenotypes.cells.neurites import neurite_length_um
from phenotypes.cells.skeleton import skeleton_graph, skeletonize
from segmentation import Field, Segmenter, load
from segmentation.field import Labels, Mask
from segmentation.phantoms.render import Culture, Optics, Phantom, render
from segmentation.phantoms.scenes import scene
from segmentation.scoring.accuracy import (
    IOU,
    Counts,
    LineCounts,
    centres,
    line_counts,
    object_counts,
    point_counts,
)

PIXEL_UM = 0.325
SPEED_SIDE = 2160
PUNCTA_SNR = (3.0, 5.0, 10.0)
# Seeds of the bench's phantoms start here; those of training and demo are far below.
FIRST_SEED = 9_000_000
PUNCTUM_REACH_UM = 0.8


@dataclass(frozen=True)
class Score:
    """One row of the table."""

    engine: str
    what: str
    measure: str
    value: float
    images: int


@dataclass(frozen=True)
class Case:
    """One image with its truth and what an engine segmented, for the pictures."""

    engine: str
    what: str
    name: str
    score: float
    image: NDArray[np.uint8]
    truth: Mask
    segmented: Mask


@dataclass
class Bench:
    """Scores and cases of all engines."""

    scores: list[Score] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def run(
    engines: Sequence[str], *, device: str, nuclei: Path | None, fields: int, speed: bool
) -> Bench:
    """Measure all engines.

    Raises EngineError for an unknown engine, AnnotationError for a folder without annotated nuclei.
    """
    bench = Bench()
    for name in engines:
        try:
            engine = load(name, device=device)
        except (ValueError, ImportError, RuntimeError) as error:
            raise EngineError(f"engine {name}: {error}") from error
        if nuclei is not None:
            for pixel in ("10 µm nuclei", "0.65 µm/px blind"):
                _nuclei(bench, name, engine, nuclei, pixel)
        for level in ("medium", "hard"):
            _phantoms(bench, name, engine, level, fields)
        _puncta(bench, name, engine, fields)
        if speed:
            _speed(bench, name, device)
    return bench


def annotated_nuclei(folder: Path, part: str) -> Iterator[tuple[str, NDArray[np.float32], Labels]]:
    """Name, image and labels of each image in a part of DSB2018.

    Raises AnnotationError where the folder is not laid out so.
    """
    from segmentation.engines.motornet.nuclei import read_nuclei

    try:
        yield from read_nuclei(folder, part)
    except FileNotFoundError as error:
        raise AnnotationError(
            f"{folder} has no annotated nuclei ({error}); it needs manifest.csv, images/ and"
            " labels/"
        ) from error


def _nuclei(bench: Bench, name: str, engine: Segmenter, folder: Path, scale: str) -> None:
    from segmentation.engines.motornet.nuclei import BLIND_PIXEL_UM, nuclei_pixel_size

    what = f"nuclei, DSB2018 test part, {scale}"
    pooled: dict[float, Counts] = {t: Counts(0, 0, 0) for t in IOU}
    each: list[dict[float, float]] = []
    for image_name, image, truth in annotated_nuclei(folder, "test"):
        pixel = BLIND_PIXEL_UM if "blind" in scale else nuclei_pixel_size(truth)
        nuclei = engine.segment(Field(image[None], ("dna",), pixel)).labels["nuclei"]
        counts = object_counts(truth, nuclei)
        pooled = {t: pooled[t] + counts[t] for t in IOU}
        each.append({t: c.average_precision for t, c in counts.items()})
        bench.cases.append(
            _case(
                name,
                what,
                image_name[:8],
                counts[0.5].average_precision,
                image,
                _outline(truth),
                _outline(nuclei),
            )
        )
    _average_precision(bench, name, what, pooled, len(each))
    for t in (0.5, 0.75):
        bench.scores.append(
            Score(
                name,
                what,
                f"AP@{t} mean of images",
                float(np.mean([e[t] for e in each])),
                len(each),
            )
        )


def _average_precision(
    bench: Bench, name: str, what: str, pooled: dict[float, Counts], images: int
) -> None:
    for label, value in (
        ("AP@0.5", pooled[0.5].average_precision),
        ("AP@0.75", pooled[0.75].average_precision),
        ("AP@0.5:0.95", float(np.mean([c.average_precision for c in pooled.values()]))),
    ):
        bench.scores.append(Score(name, what, label, value, images))


def phantom(level: str, number: int, *, shape: tuple[int, int] = (512, 512)) -> Phantom:
    """The bench's phantom of that number: the same pixels for every engine and on every machine."""
    seed = np.random.SeedSequence([FIRST_SEED, number])
    culture, optics = scene(level, seed.spawn(1)[0], shape=shape, pixel_size_um=PIXEL_UM)
    return render(culture, optics, seed)


def _phantoms(bench: Bench, name: str, engine: Segmenter, level: str, fields: int) -> None:
    phantoms = [phantom(level, n) for n in range(fields)]
    calibrated = engine.calibrate([p.field for p in phantoms])
    objects = {part: {t: Counts(0, 0, 0) for t in IOU} for part in ("nuclei", "somas")}
    lines = {r: LineCounts(0, 0, 0, 0) for r in (2, 3)}
    exact = LineCounts(0, 0, 0, 0)
    length = drawn = traced = 0.0
    for n, one in enumerate(phantoms):
        labels = calibrated.segment(one.field).labels
        for part, truth in (("nuclei", one.truth.nuclei), ("somas", one.truth.somas)):
            counts = object_counts(truth, labels[part])
            objects[part] = {t: objects[part][t] + counts[t] for t in IOU}
            plane = one.field.channel("dna" if part == "nuclei" else "neurite")
            ap = counts[0.5].average_precision
            bench.cases.append(
                _case(
                    name,
                    f"{part}, {level} phantoms",
                    str(n),
                    ap,
                    plane,
                    _outline(truth),
                    _outline(labels[part]),
                )
            )
        truth_lines, found_lines = (
            skeletonize(one.truth.neurite_mask(PIXEL_UM)),
            skeletonize(labels["neurites"] > 0),
        )
        exact += line_counts(skeletonize(one.truth.centre_lines()), found_lines, 2)
        for r in lines:
            lines[r] += line_counts(truth_lines, found_lines, r)
        f1 = line_counts(truth_lines, found_lines, 2).f1
        what = f"neurites, {level} phantoms"
        bench.cases.append(
            _case(name, what, str(n), f1, one.field.channel("neurite"), truth_lines, found_lines)
        )
        length += neurite_length_um(labels["neurites"] > 0, PIXEL_UM)
        traced += skeleton_graph(truth_lines).length_px * PIXEL_UM
        drawn += sum(one.truth.neurite_length_um)
    for part, counts in objects.items():
        _average_precision(bench, name, f"{part}, {level} phantoms", counts, fields)
    what = f"neurites, {level} phantoms"
    for r, c in lines.items():
        for label, value in (("precision", c.precision), ("recall", c.recall), ("F1", c.f1)):
            bench.scores.append(Score(name, what, f"{label}@{r} px", value, fields))
    bench.scores.append(
        Score(
            name, what, "F1@2 px against every centre line, also inside bundles", exact.f1, fields
        )
    )
    bench.scores.append(
        Score(
            name,
            what,
            "length bias against the traced mask, %",
            100 * (length / traced - 1),
            fields,
        )
    )
    bench.scores.append(
        Score(
            name,
            what,
            "length bias against all that was drawn, overlaps twice, %",
            100 * (length / drawn - 1),
            fields,
        )
    )


def _puncta(bench: Bench, name: str, engine: Segmenter, fields: int) -> None:
    for snr in PUNCTA_SNR:
        phantoms = []
        for n in range(fields):
            culture = Culture(neurons_per_mm2=400, puncta_per_neuron=3.0, puncta_snr=snr)
            phantoms.append(
                render(
                    culture,
                    Optics((512, 512), PIXEL_UM),
                    np.random.SeedSequence([FIRST_SEED, 500 + n]),
                )
            )
        calibrated = engine.calibrate([p.field for p in phantoms])
        total = Counts(0, 0, 0)
        for n, one in enumerate(phantoms):
            puncta = calibrated.segment(one.field).labels["puncta"]
            inside = one.truth.puncta_yx[_in_field(one.truth.puncta_yx, puncta.shape)]
            counts = point_counts(inside, centres(puncta), PUNCTUM_REACH_UM / PIXEL_UM)
            total += counts
            truth = np.zeros(puncta.shape, bool)
            truth[tuple(np.round(inside).astype(int).T)] = True
            marked = cv2.dilate(truth.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            bench.cases.append(
                _case(
                    name,
                    f"puncta, SNR {snr:g}",
                    str(n),
                    counts.f1,
                    one.field.channel("aggregate"),
                    marked,
                    _outline(puncta),
                )
            )
        for label, value in (
            ("precision", total.precision),
            ("recall", total.recall),
            ("F1", total.f1),
        ):
            bench.scores.append(Score(name, f"puncta, phantoms, SNR {snr:g}", label, value, fields))


def _in_field(points: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    rounded = np.round(points)
    return np.asarray(((rounded >= 0) & (rounded < shape)).all(axis=1), bool)


def _speed(bench: Bench, name: str, device: str) -> None:
    """Seconds and peak memory of one large field in a process of its own."""
    command = [sys.executable, "-m", "imaging_service.cli.bench", name, device]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        bench.failures.append(
            f"speed of {name}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
        )
        return
    for label, value in json.loads(done.stdout.splitlines()[-1]).items():
        bench.scores.append(
            Score(
                name,
                f"{SPEED_SIDE}² field, 3 channels, {PIXEL_UM} µm/px, {device}",
                label,
                value,
                1,
            )
        )


def time_engine(name: str, device: str) -> dict[str, float]:
    """Seconds and peak MiB of loading an engine, calibrating it and labelling a large phantom.

    The phantom is a medium one of SPEED_SIDE²; the memory is that of this process.
    """
    # One stamp of 540² four times in each direction: drawing the whole field would take longer than
    # all engines together.
    stamp = phantom("medium", 0, shape=(SPEED_SIDE // 4, SPEED_SIDE // 4)).field
    pixels = np.tile(stamp.pixels, (1, 4, 4))
    large = Field(pixels, stamp.roles, PIXEL_UM)
    began = time.perf_counter()
    engine = load(name, device=device)
    loaded = time.perf_counter()
    engine = engine.calibrate([stamp])
    engine.segment(stamp)
    laps = []
    for _ in range(3):
        start = time.perf_counter()
        engine.segment(large)
        laps.append(time.perf_counter() - start)
    best = min(laps)
    # ru_maxrss is in KiB on Linux.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds to load": loaded - began,
        "seconds": best,
        "seconds, slowest of three": max(laps),
        "seconds per megapixel": best / (pixels[0].size / 1e6),
        "peak memory of the process, MiB": peak,
    }


def write(bench: Bench, out: Path) -> None:
    """Write scores.csv, scores.json and a sheet of cases per engine.

    A sheet shows the best, median and worst case of each task.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / "scores.csv").open("w", newline="", encoding="utf-8-sig") as stream:
        writer = csv.writer(stream)
        writer.writerow(["engine", "what", "measure", "value", "images"])
        writer.writerows(
            [s.engine, s.what, s.measure, f"{s.value:.4g}", s.images] for s in bench.scores
        )
    (out / "scores.json").write_text(
        json.dumps([asdict(s) for s in bench.scores], indent=1, ensure_ascii=False)
    )
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in bench.cases:
        groups.setdefault((case.engine, case.what), []).append(case)
    for engine in dict.fromkeys(engine for engine, _ in groups):
        rows = [_row(cases) for (other, _), cases in groups.items() if other == engine]
        width = max(r.shape[1] for r in rows)
        sheet = np.vstack(
            [np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0)), constant_values=32) for r in rows]
        )
        cv2.imwrite(str(out / f"cases-{engine.replace(':', '-').replace('/', '-')}.png"), sheet)


def _row(cases: list[Case]) -> NDArray[np.uint8]:
    ordered = sorted(cases, key=lambda c: c.score)
    picked = [("best", ordered[-1]), ("median", ordered[len(ordered) // 2]), ("worst", ordered[0])]
    panels = []
    for title, case in picked:
        grey = cv2.cvtColor(case.image, cv2.COLOR_GRAY2BGR)
        marked = grey.copy()
        marked[case.truth] = (0, 200, 0)
        marked[case.segmented] = (200, 0, 255)
        marked[case.truth & case.segmented] = (255, 255, 255)
        panel = np.hstack([_fit(grey), _fit(marked)])
        caption = f"{case.what}: {title} {case.score:.2f} ({case.name})"
        strip = np.full((20, panel.shape[1], 3), 32, np.uint8)
        cv2.putText(
            strip,
            caption.replace("µ", "u").replace("²", "2"),
            (4, 14),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.42,
            (255, 255, 255),
            1,
            cv2.LINE_AA,
        )
        panels.append(np.vstack([strip, panel]))
    return np.hstack(panels)


def _fit(image: NDArray[np.uint8], side: int = 300) -> NDArray[np.uint8]:
    scale = side / max(image.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=method)[:side, :side]
    return np.pad(small, ((0, side - small.shape[0]), (0, side - small.shape[1]), (0, 0)))


def _case(
    engine: str,
    what: str,
    name: str,
    score: float,
    image: NDArray[Any],
    truth: Mask,
    segmented: Mask,
) -> Case:
    low, high = np.percentile(image, (1, 99.7))
    shown = np.clip((image - low) / max(high - low, 1e-6), 0, 1) ** 0.6
    return Case(engine, what, name, score, (shown * 255).astype(np.uint8), truth, segmented)


def _outline(labels: Labels) -> Mask:
    edge = np.zeros(labels.shape, bool)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    return edge


if __name__ == "__main__":
    print(json.dumps(time_engine(sys.argv[1], sys.argv[2])))
