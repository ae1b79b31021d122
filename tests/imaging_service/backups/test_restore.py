"""A run in flight is backed up by a real service, and ends as an undisturbed one would."""

from __future__ import annotations

import shutil

import polars as pl
import pytest

from tests.service import Service, wait_for


@pytest.mark.slow
def test_a_run_in_flight_goes_on_after_a_restoration_and_has_the_same_tables(
    tmp_path, phantom_plate, monkeypatch
):
    from imaging_service.backups.backup import back_up
    from imaging_service.backups.restore import restore
    from imaging_service.settings import Settings

    scan, sheet = phantom_plate / "Phantom-1", phantom_plate / "plate_map.csv"
    running = Service(tmp_path, phantom_plate)
    settings = Settings(data_dir=tmp_path / "data", scan_roots=str(phantom_plate))
    client = running.start()
    run = client.submit(scan, sheet, phantom_plate / "protocol.toml").id
    wait_for(client, run, at_least=3)
    made = back_up(settings, tmp_path / "out")
    assert made.files
    wait_for(client, run)
    tables = {name: client.table_bytes(run, name, "parquet") for name in ("wells", "responses")}
    client.close()
    running.stop()
    shutil.move(tmp_path / "data", tmp_path / "lost")
    restore(settings, tmp_path / "out")
    again = running.start()
    before = again.run(run)
    assert before.state in ("queued", "running", "waiting")
    assert wait_for(again, run).state == "done"
    for name, content in tables.items():
        assert again.table_bytes(run, name, "parquet") == content, name
    assert len(pl.DataFrame(again.wells(run))) == len(pl.DataFrame(again.progress(run)))
    again.close()
    running.stop()
