from __future__ import annotations

import pytest
from sqlmodel import Session, select

from imaging_service.database.registry import load_registry, merge_batches, merge_lines
from imaging_service.database.session import database_engine, upgrade
from imaging_service.database.tables import DonorRow, LineRow
from imaging_service.errors import RegistryRefused
from imaging_service.settings import Settings
from plate_maps.registry import read_lines
from tests.messages import says

LINES = "line\tdonor\tgene\tisogenic_parent\tpassage\nS1-iso\tD1\t\tS1\t31\nS1\tD1\tSOD1\t\t28\nF1\tD2\tFUS\t\t\n"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGING_SERVICE_DATA_DIR", str(tmp_path / "data"))
    found = Settings()
    upgrade(found.url)
    yield found
    database_engine(found.url).dispose()


@pytest.fixture
def session(settings):
    with Session(database_engine(settings.url)) as opened:
        yield opened


def test_lines_come_back_as_they_were_given_whatever_their_order(session):
    change = merge_lines(session, LINES, "lines.tsv")
    assert change.added == ["F1", "S1", "S1-iso"]
    assert load_registry(session).lines == dict(sorted(read_lines(LINES).items()))
    assert load_registry(session).isogenic_pairs() == [("S1", "S1-iso")]
    assert set(session.exec(select(DonorRow.id)).all()) == {"D1", "D2"}


def test_merging_adds_replaces_and_says_which(session):
    merge_lines(session, LINES, "lines.tsv")
    change = merge_lines(
        session,
        "line\tdonor\tgene\tisogenic_parent\nF1\tD3\tFUS\t\nS1\tD1\tSOD1\t\nS1-b\tD1\t\tS1\n",
        "more.tsv",
    )
    # S1 lost its passage
    assert (change.added, change.changed, change.unchanged) == (["S1-b"], ["F1", "S1"], [])
    assert set(session.exec(select(DonorRow.id)).all()) == {"D1", "D3"}  # a code without lines goes
    assert merge_lines(session, "line\tdonor\tgene\nF1\tD3\tFUS\n", "again.tsv").unchanged == ["F1"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("line\tdonor\nX\t\n", says("registry.donor_missing")),
        (
            "line\tdonor\tisogenic_parent\nX\tD1\tnobody\n",
            says("registry.parent_unknown", parent="nobody"),
        ),
        ("line\tdonor\tisogenic_parent\nX\tD9\tS1\n", says("registry.parent_of_another_donor")),
        (
            "line\tdonor\tbirthday\nX\tD1\t1970-01-01\n",
            says("registry.unknown_column", named="birthday"),
        ),
        # would part S1 from S1-iso
        ("line\tdonor\nS1\tD9\n", says("registry.donor_of_a_parent_changed")),
    ],
)
def test_a_fault_changes_nothing(session, text, sentence):
    merge_lines(session, LINES, "lines.tsv")
    before = load_registry(session)
    with pytest.raises(RegistryRefused, match=sentence):
        merge_lines(session, text, "bad.tsv")
    session.rollback()
    assert load_registry(session) == before


def test_the_database_itself_holds_donors_and_parents(session):
    from sqlalchemy.exc import IntegrityError

    session.add(LineRow(line="X", donor="nobody", content="{}"))
    with pytest.raises(IntegrityError):
        session.commit()
    session.rollback()


def test_batches(session):
    assert merge_batches(session, "batch\tpurity\ndiff-1\t0.8\n", "b.tsv").added == ["diff-1"]
    assert merge_batches(session, "batch\tpurity\ndiff-1\t0.9\n", "b.tsv").changed == ["diff-1"]
    assert load_registry(session).batches["diff-1"].purity == "0.9"
    with pytest.raises(RegistryRefused, match=says("registry.share_out_of_range")):
        merge_batches(session, "batch\tpurity\ndiff-2\t80\n", "b.tsv")
