from __future__ import annotations

import time

import pytest
from sqlmodel import Session

from imaging_service.database.session import database_engine
from imaging_service.database.tables import WorkerRow
from imaging_service.jobs.durable import doctor


def sick(settings):
    return {f.part for f in doctor.examine(settings) if not f.well}


def worker(settings, seen):
    with Session(database_engine(settings.url)) as session:
        session.merge(
            WorkerRow(name="w", host="h", process=1, version="v", seen=seen, state="working")
        )
        session.commit()


def test_a_machine_that_is_well(data_folder):
    worker(data_folder, time.time())
    assert sick(data_folder) == set()


@pytest.mark.parametrize("seen", [-60, 3600])
def test_a_worker_that_is_silent_or_whose_clock_is_ahead(data_folder, seen):
    worker(data_folder, time.time() + seen)
    assert sick(data_folder) == {"workers"}


def test_a_root_on_s3_is_looked_at(data_folder, bucket):
    worker(data_folder, time.time())
    bucket.write("lab/plate.zarr/zarr.json", b"{}")
    data_folder.scan_roots = bucket.address("lab")
    assert sick(data_folder) == set()
    for root in (bucket.address("none"), "s3://was-never-there"):
        data_folder.scan_roots = root
        assert sick(data_folder) == {"scan roots"}


def test_what_is_not_well_is_named(data_folder, tmp_path, monkeypatch):
    worker(data_folder, time.time())
    monkeypatch.setattr(doctor, "shortage", lambda _: "no space left")
    data_folder.scan_roots = str(tmp_path / "gone")
    data_folder.dask_scheduler = "tls://127.0.0.1:1"
    doctor.prove_store(data_folder)
    (data_folder.data_dir / "store.id").write_text("another")
    assert sick(data_folder) == {"store", "space", "scan roots", "Dask"}
