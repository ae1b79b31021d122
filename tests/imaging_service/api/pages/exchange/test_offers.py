"""The page of releases that are offered."""

from __future__ import annotations

import pytest

from tests.imaging_service.offered import offered_release
from tests.messages import states


@pytest.fixture
def offered(two_labs, tmp_path, monkeypatch):
    return offered_release(two_labs, tmp_path, monkeypatch)


def page_of(offered, caller):
    answer = offered.labs.ask(caller, "GET", "/offers")
    assert answer.status_code == 200
    return answer.text


def test_an_administrator_sees_to_whom_until_when_and_how_often(offered):
    assert offered.get(f"/releases/{offered.release}/bundle").status_code == 200
    offered.get(f"/releases/{offered.release}/bundle", headers={"Range": "bytes=0-1"})
    page = page_of(offered, "administrator")
    assert states("offers_page.open", page)
    assert states("offers_page.requester", page, who="Ada Lee", downloads="1, and 1 part")


def test_a_viewer_sees_counts_and_no_names_and_another_laboratory_nothing(offered):
    page = page_of(offered, "viewer")
    assert states("offers_page.open", page)
    assert states("offers_page.counts", page, requests=1, downloads=0)
    assert "Ada Lee" not in page
    page = page_of(offered, "other lab")
    assert states("offers_page.none", page, lab="beta")
    assert "als-2026" not in page


def test_a_release_whose_folder_is_away_says_what_to_do(offered, tmp_path):
    offered.folder.rename(tmp_path / "away")
    page = page_of(offered, "viewer")
    assert states("offers_page.folder_away", page)
    assert str(tmp_path) not in page
