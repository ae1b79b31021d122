from __future__ import annotations

import polars as pl

from imaging_service.jobs.review.results import rank


def test_every_field_is_ranked_again_and_the_queue_is_written(reviewers):
    ann, _ = reviewers
    ranked = rank(ann.run.root)
    fields = pl.read_parquet(ann.run.root / "fields.parquet")
    assert ranked.height == fields.height
    assert ranked["score"].is_sorted(descending=True)
    assert [(e.well, e.field) for e in ann.run.queue()] == ranked.select("well", "field").rows()
