"""Results of a review: fields ranked again, and annotated images for training."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from imaging_service.errors import StoreError
from imaging_service.files import write_bytes
from imaging_service.jobs.review.agreement import reviewed
from imaging_service.jobs.summary import write_queue
from imaging_service.protocol import Measurement
from imaging_service.review.local import LocalRun
from imaging_service.store.tables import read_table
from phenotypes.plates.responses import respond

Labels = NDArray[np.int32]


def export_training(run: str | PathLike[str], out: str | PathLike[str]) -> int:
    """Write corrected and accepted fields as annotated nuclei.

    `segmentation.engines.motornet.samples --nuclei` and `bench segmentation` read them:
    OUT/manifest.csv with provenance, OUT/images/ID.png (the DNA channel, 16 bit),
    OUT/labels/ID.png; ID is a digest of both. Rejected fields and wells are left out. Returns the
    number of fields. Raises StoreError where there is none.
    """
    out = Path(out)
    folder = LocalRun(run)
    rows = []
    for well, number, frame in _exported(folder):
        image = folder.read_field(well, number, frame)
        if "dna" not in image.roles or "nuclei" not in image.labels:
            raise StoreError(
                f"{run} has no DNA channel with nuclei; the training command needs both"
            )
        pixels = image.pixels[image.roles.index("dna")]
        labels = image.labels["nuclei"]
        if labels.max() > np.iinfo(np.uint16).max:
            raise StoreError(
                f"well {well}, field {number} has labels over {np.iinfo(np.uint16).max}, which a 16"
                " bit image cannot hold"
            )
        name = hashlib.sha256(
            np.ascontiguousarray(pixels).tobytes() + np.ascontiguousarray(labels).tobytes()
        ).hexdigest()
        for part, array in (("images", _sixteen_bit(pixels)), ("labels", labels.astype(np.uint16))):
            write_bytes(out / part / f"{name}.png", cv2.imencode(".png", array)[1].tobytes())
        history = folder.review.history(well, number)
        rows.append(
            {
                "id": name,
                "height": labels.shape[0],
                "width": labels.shape[1],
                "n_nuclei": int(np.count_nonzero(np.bincount(labels.ravel())[1:])),
                "pixel_size_um": image.pixel_size_um,
                "run_id": folder.record["run_id"],
                "well": well,
                "field": number,
                "frame": frame,
                "label_version": image.label_version,
                "engine": folder.record["engine"]["engine"],
                "authors": " ".join(dict.fromkeys(v.author for v in history)),
            }
        )
    if not rows:
        raise StoreError(
            f"no field of {run} was corrected or accepted, so there is nothing to learn from;"
            " review fields first"
        )
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(out / "manifest.csv", text.getvalue().encode())
    return len(rows)


def _exported(folder: LocalRun) -> Iterator[tuple[str, int, int]]:
    standing = folder.review.standing()
    for well, number, frame in reviewed(folder):
        verdicts = [
            v
            for v in (standing.get((well, number, None)), standing.get((well, None, None)))
            if v is not None
        ]
        if all(v.accepted for v in verdicts):
            yield well, number, frame


def _sixteen_bit(pixels: NDArray[np.generic]) -> NDArray[np.uint16]:
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels.astype(np.uint16)
    values = pixels.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    return np.asarray(np.round((values - low) * (65535 / max(high - low, 1e-12))), np.uint16)


def rank(root: Path) -> pl.DataFrame:
    """Rank the run's fields again, by its corrected tables where `review apply` has run.

    See `summary.write_queue`.
    """
    run = LocalRun(root)
    names = run.record["inputs"]["protocol"]["response"]["phenotypes"]
    wells, fields = (
        read_table(root / run.newest(f"{name}.parquet")) for name in ("wells", "fields")
    )
    settings = Measurement(**run.record["inputs"]["protocol"]["measurement"])
    responses = respond(
        wells, names, pixel_size_um=float(run.record["pixel_size_um"]), settings=settings
    )
    return write_queue(root, fields, wells, responses, names, settings)
