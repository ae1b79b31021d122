"""What lies in a run's folder of its scan, or why nothing does."""

from __future__ import annotations

import shutil

import pytest

from imaging_service.errors import StoreError
from imaging_service.store.arrival import read_arrival
from tests.messages import says


def test_a_run_has_both_tables_or_the_reason_or_nothing(own_run):
    arrival = read_arrival(own_run)
    assert (len(arrival.images), len(arrival.channels)) == (18, 3)
    (own_run / "arrival" / "reason.txt").write_text("no light")
    assert read_arrival(own_run) == "no light"
    shutil.rmtree(own_run / "arrival")
    assert read_arrival(own_run) == ""


def test_a_damaged_table_is_named(own_run):
    (own_run / "arrival" / "images.parquet").write_bytes(b"no table")
    with pytest.raises(StoreError, match=says("arrival.damaged")):
        read_arrival(own_run)
