"""Summaries that wait for the hub."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from imaging_service.errors import Forbidden, NotFound
from imaging_service.federation.inbox import discard, keep, kept, summary_file
from imaging_service.federation.parcel import pack
from tests.imaging_service.federation.drawn_parcels import summary_folder
from tests.messages import says

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_site_replaces_its_own_summary_and_no_other_laboratory_does(tmp_path):
    inbox = tmp_path / "summaries"
    first, second = (pack(summary_folder(tmp_path / text, text=text)) for text in "ab")
    sent = keep(inbox, first, "ann", "alpha", NOW)
    assert (sent.site, sent.lab, sent.sender, sent.size) == ("north", "alpha", "ann", len(first))
    with pytest.raises(Forbidden, match=says("inbox.of_another_laboratory")):
        keep(inbox, second, "bea", "beta", NOW)
    assert summary_file(inbox, "north").read_bytes() == first
    keep(inbox, second, "bob", "alpha", NOW)
    assert summary_file(inbox, "north").read_bytes() == second
    assert [(s.site, s.sender) for s in kept(inbox)] == [("north", "bob")]
    discard(inbox, "north")
    assert list(inbox.iterdir()) == []
    assert keep(inbox, first, "bea", "beta", NOW).lab == "beta"


@pytest.mark.parametrize("site", ["south", "../north", "", "north.zip"])
def test_what_no_site_sent_is_not_there(tmp_path, site):
    keep(tmp_path, pack(summary_folder(tmp_path / "n")), "ann", "alpha", NOW)
    for asked in (summary_file, discard):
        with pytest.raises(NotFound):
            asked(tmp_path, site)
    assert len(kept(tmp_path)) == 1
