from __future__ import annotations

from dataclasses import replace

from sqlmodel import Session

from imaging_service.database.session import database_engine, find_run
from imaging_service.jobs.durable.queue import queue_run
from imaging_service.jobs.durable.remap import last_records
from imaging_service.jobs.durable.workflows import run_folder


def test_the_newest_run_of_each_protocol_and_engine_counts(data_folder, laid_out):
    _, record, plan = laid_out
    runs = [
        queue_run(data_folder, replace(record, run_id=name, **more), plan)
        for name, more in (
            ("a" * 20, {}),
            ("b" * 20, {}),
            ("c" * 20, {"protocol_digest": "other"}),
            ("d" * 20, {}),
        )
    ]
    run_folder(data_folder, runs[3]).record.unlink()
    with Session(database_engine(data_folder.url)) as session:
        plate = find_run(session, runs[0]).plate_id
        found = last_records(data_folder, session, plate)
        assert last_records(data_folder, session, "x") == []
    assert found == [run_folder(data_folder, run).record for run in (runs[1], runs[2])]
