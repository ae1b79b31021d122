from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlmodel import Session, select

from imaging_service.database.session import database_engine
from imaging_service.database.tables import StoreRow
from imaging_service.errors import Forbidden, StoreError
from imaging_service.jobs.durable.store import prove_store
from imaging_service.settings import Settings
from tests.imaging_service.database.test_session import add_run
from tests.messages import says


def test_a_folder_and_its_database_know_each_other(data_folder):
    first = prove_store(data_folder)
    assert prove_store(data_folder) == first
    assert (data_folder.data_dir / "store.id").read_text() == first


def test_a_server_and_workers_that_start_together_agree_on_one_id(data_folder):
    together = threading.Barrier(6)

    def start(_):
        together.wait(60)
        return prove_store(data_folder)

    with ThreadPoolExecutor(6) as threads:
        (agreed,) = set(threads.map(start, range(6)))
    assert (data_folder.data_dir / "store.id").read_text() == agreed
    with Session(database_engine(data_folder.url)) as session:
        assert session.exec(select(StoreRow.id)).all() == [agreed]


def test_another_folder_is_refused_whether_it_is_new_or_another_database_s(data_folder, tmp_path):
    prove_store(data_folder)
    other = Settings(data_dir=tmp_path / "other", database_url=data_folder.url)
    with pytest.raises(Forbidden):
        prove_store(other)
    (tmp_path / "other" / "store.id").write_text("f" * 32)
    with pytest.raises(Forbidden):
        prove_store(other)


def test_a_database_without_runs_beside_a_folder_that_holds_some_is_refused(data_folder):
    for run in ("a" * 64, "b" * 64):
        data_folder.run_root(run).mkdir(parents=True)
    with pytest.raises(Forbidden, match=says("store.runs_of_another_database", n=2)):
        prove_store(data_folder)
    # Nothing was tied to it: a database of before the two had an id knows its runs.
    assert not (data_folder.data_dir / "store.id").exists()
    with Session(database_engine(data_folder.url)) as session:
        add_run(session, "a" * 64)
        session.commit()
    assert prove_store(data_folder) == (data_folder.data_dir / "store.id").read_text()


def test_a_folder_that_cannot_be_written_to_is_said_in_one_sentence(data_folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError):
        prove_store(Settings(data_dir=tmp_path / "file", database_url=data_folder.url))
