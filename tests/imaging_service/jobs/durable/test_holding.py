from __future__ import annotations

import pytest

from imaging_service.errors import Busy
from imaging_service.jobs.durable import holding
from imaging_service.jobs.durable.holding import held_for_backup, no_backup
from imaging_service.settings import Settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(holding, "_PATIENCE_S", 0.01)
    return Settings(data_dir=tmp_path)


def test_nothing_is_removed_while_a_backup_copies_and_after_it_all_may_be(settings):
    with held_for_backup(settings):
        for other in (no_backup, held_for_backup):
            with pytest.raises(Busy), other(settings):
                raise AssertionError("let in")
    with no_backup(settings):
        pass


def test_a_failure_releases_the_lock(settings):
    with pytest.raises(KeyError), held_for_backup(settings):
        raise KeyError
    with no_backup(settings):
        pass
