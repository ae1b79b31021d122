"""Around a review: which fields are worth a look, how well reviewers and engine agree, and annotated images to train on."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from imaging_service.errors import ScanError, StoreError
from imaging_service.jobs.summary import write_queue
from imaging_service.local_run import LocalRun
from imaging_service.schemas import Verdict
from imaging_service.store.folders import write_bytes
from imaging_service.store.tables import read_table
from phenotypes.responses import respond
from segmentation.accuracy import Counts, object_counts

Labels = NDArray[np.int32]
IOU = 0.5


@dataclass(frozen=True)
class FieldAgreement:
    """One field: objects of either side, those that match at IoU 0.5, Dice of their pixels; both verdicts, None where there is none."""

    well: str
    field: int
    n_first: int
    n_second: int
    matched: int
    dice: float | None
    first: bool | None
    second: bool | None


@dataclass(frozen=True)
class Agreement:
    """Over all fields: F1 of objects, mean Dice of pixels, Cohen's kappa of accepting (None where it is not defined), and the fields."""

    compartment: str
    f1: float | None
    dice: float | None
    kappa: float | None
    n_judged: int
    fields: tuple[FieldAgreement, ...]


def reviewed(run: LocalRun) -> list[tuple[str, int]]:
    """Fields that somebody corrected or judged, in order."""
    judged = {(well, number) for (well, number, track) in run.review.standing() if number is not None and track is None}
    return sorted(judged | set(run.review.corrected()))


def agreement(first: Path, second: Path | None = None, compartment: str = "nuclei") -> Agreement:
    """Two reviewers on copies of one run, over fields that both reviewed; or, without a second, the engine against the reviewer.

    Raises ScanError where the two are not of one run, StoreError where nothing was reviewed.
    """
    one, other = LocalRun(first), LocalRun(second) if second is not None else None
    if other is not None and one.record["run_id"] != other.record["run_id"]:
        raise ScanError(f"{first} and {second} are not of one run: reviewers are compared on copies of the same one")
    places = [p for p in reviewed(one) if other is None or p in set(reviewed(other))]
    if not places:
        raise StoreError(f"no field of {first} was reviewed" + (f" in {second} as well" if second else ""))
    fields = []
    for well, number in places:
        base = one.engine_labels(well, number)
        if compartment not in base:
            raise StoreError(f"the run has no labels of {compartment}; it has {', '.join(base)}")
        mine = one.review.labels(base, well, number)[compartment]
        theirs = base[compartment] if other is None else other.review.labels(base, well, number)[compartment]
        a, b = _verdict(one, well, number), None if other is None else _verdict(other, well, number)
        fields.append(_compare(well, number, mine, theirs, a, b))
    counts = sum((Counts(f.matched, f.n_first - f.matched, f.n_second - f.matched) for f in fields), Counts(0, 0, 0))
    known = [f.dice for f in fields if f.dice is not None]
    judged = [(f.first, f.second) for f in fields if f.first is not None and f.second is not None]
    return Agreement(
        compartment,
        counts.f1 if sum(f.n_first + f.n_second for f in fields) else None,
        float(np.mean(known)) if known else None,
        _kappa(judged),
        len(judged),
        tuple(fields),
    )


def _verdict(run: LocalRun, well: str, number: int) -> bool | None:
    found: Verdict | None = run.review.standing().get((well, number, None))
    return None if found is None else found.accepted


def _compare(well: str, number: int, first: Labels, second: Labels, a: bool | None, b: bool | None) -> FieldAgreement:
    # As one object each: labels of a corrected field have gaps.
    first, second = (np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32) for labels in (first, second))
    found = object_counts(second, first, (IOU,))[IOU]
    both = int(((first > 0) & (second > 0)).sum())
    area = int((first > 0).sum() + (second > 0).sum())
    n, m = int(first.max()), int(second.max())
    return FieldAgreement(well, number, n, m, int(found.tp), 2 * both / area if area else None, a, b)


def _kappa(judged: list[tuple[bool, bool]]) -> float | None:
    """Cohen's kappa; None where there is nothing to judge by, or both said the same of every field (then chance agrees as well)."""
    if not judged or len({said for pair in judged for said in pair}) < 2:
        return None
    from sklearn.metrics import cohen_kappa_score

    a, b = zip(*judged, strict=True)
    return float(cohen_kappa_score(a, b))


def export_training(run: Path, out: Path) -> int:
    """Write corrected and accepted fields as annotated nuclei, as `segmentation.motornet.samples --nuclei` and `bench segmentation` read them.

    OUT/manifest.csv with provenance, OUT/images/ID.png (the DNA channel, 16 bit), OUT/labels/ID.png; ID is a digest of both. Rejected fields
    and wells are left out. Returns the number of fields. Raises StoreError where there is none.
    """
    folder = LocalRun(run)
    rows = []
    for well, number in _exported(folder):
        image = folder.read_field(well, number)
        if "dna" not in image.roles or "nuclei" not in image.labels:
            raise StoreError(f"{run} has no DNA channel with nuclei, which is what the training command learns from")
        pixels = image.pixels[image.roles.index("dna")]
        labels = image.labels["nuclei"]
        if labels.max() > np.iinfo(np.uint16).max:
            raise StoreError(f"well {well}, field {number} has labels over {np.iinfo(np.uint16).max}, which a 16 bit image cannot hold")
        name = hashlib.sha256(np.ascontiguousarray(pixels).tobytes() + np.ascontiguousarray(labels).tobytes()).hexdigest()
        for part, array in (("images", _sixteen_bit(pixels)), ("labels", labels.astype(np.uint16))):
            write_bytes(out / part / f"{name}.png", cv2.imencode(".png", array)[1].tobytes())
        history = folder.review.history(well, number)
        rows.append(
            {
                "id": name, "height": labels.shape[0], "width": labels.shape[1], "n_nuclei": len(np.unique(labels)) - 1,
                "pixel_size_um": image.pixel_size_um, "run_id": folder.record["run_id"], "well": well, "field": number,
                "label_version": image.label_version, "engine": folder.record["engine"]["engine"],
                "authors": " ".join(dict.fromkeys(v.author for v in history)),
            }
        )  # fmt: skip
    if not rows:
        raise StoreError(f"no field of {run} was corrected or accepted, so there is nothing to learn from")
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(out / "manifest.csv", text.getvalue().encode())
    return len(rows)


def _exported(folder: LocalRun) -> Iterator[tuple[str, int]]:
    standing = folder.review.standing()
    for well, number in reviewed(folder):
        said = [v for v in (standing.get((well, number, None)), standing.get((well, None, None))) if v is not None]
        if all(v.accepted for v in said):
            yield well, number


def _sixteen_bit(pixels: NDArray[np.generic]) -> NDArray[np.uint16]:
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels.astype(np.uint16)
    values = pixels.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    return np.asarray(np.round((values - low) * (65535 / max(high - low, 1e-12))), np.uint16)


def as_json(found: Agreement) -> str:
    """An agreement for a file."""
    return json.dumps(asdict(found), indent=1)


def rank(root: Path) -> pl.DataFrame:
    """Rank the run's fields again, by the tables as corrected where `review apply` has run (`summary.write_queue`)."""
    run = LocalRun(root)
    names = run.record["inputs"]["protocol"]["response"]["phenotypes"]
    wells, fields = (read_table(root / run.newest(f"{name}.parquet")) for name in ("wells", "fields"))
    return write_queue(root, fields, wells, respond(wells, names, pixel_size_um=float(run.record["pixel_size_um"])), names)
