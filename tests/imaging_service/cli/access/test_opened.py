from __future__ import annotations

from datetime import UTC, datetime

import pytest

from imaging_service.cli.access.opened import database, day, operator, show_key
from imaging_service.database.tenants import LabRow
from imaging_service.errors import AccessRefused
from imaging_service.settings import settings


@pytest.fixture
def own_service(two_labs, monkeypatch):
    monkeypatch.setattr("imaging_service.settings.settings", lambda: two_labs.settings)
    settings.cache_clear()


def test_a_change_is_kept_and_a_refused_one_is_not(own_service, two_labs):
    with database() as session:
        session.add(LabRow(id="gamma", name="x"))
    with pytest.raises(AccessRefused), database() as session:
        session.add(LabRow(id="delta", name="x"))
        raise AccessRefused("no")
    with two_labs.session() as session:
        assert session.get(LabRow, "gamma") is not None
        assert session.get(LabRow, "delta") is None


def test_a_key_goes_to_a_new_file_that_no_other_user_can_read(tmp_path, capsys):
    out = tmp_path / "key"
    show_key("mns_1", out)
    assert (out.read_text(), out.stat().st_mode & 0o777) == ("mns_1\n", 0o600)
    assert "mns_1" not in capsys.readouterr().out
    with pytest.raises(AccessRefused):
        show_key("mns_2", out)
    assert out.read_text() == "mns_1\n"
    show_key("mns_2", None)
    assert capsys.readouterr().out == "mns_2\n"


def test_moments_and_the_operator_are_named():
    assert day(None) == ""
    assert day(datetime(2026, 3, 1, 9, 5, tzinfo=UTC)) == "2026-03-01 09:05"
    assert operator().startswith("command line (")
