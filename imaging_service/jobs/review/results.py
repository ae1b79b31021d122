"""The queue of a review: fields ranked again by the newest tables."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from imaging_service.jobs.summary import write_queue
from imaging_service.protocol import Measurement
from imaging_service.review.local import LocalRun
from imaging_service.store.tables import read_table
from phenotypes.plates.responses import respond


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
