from __future__ import annotations

import numpy as np
import pytest

from imaging_service.errors import StoreError
from imaging_service.review.crops import Crop
from imaging_service.review.journal import Journal
from tests.messages import states

CROP = Crop("nuclei", 2, 3, np.arange(6, dtype=np.int32).reshape(2, 3), 4)


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path)
    made.add("labels", "B03", 1, {"parent": 1}, [CROP])
    made.add("labels", "B03", 1, {"parent": 2}, [CROP])
    made.add("labels", "B03", 2, {"parent": 1}, [CROP])
    made.add("verdict", "B03", 1, {"accepted": True})
    return made


def bodies(edits):
    return [(e.kind, e.field, e.body) for e in edits]


def test_edits_outlive_the_session_in_their_order(journal, tmp_path):
    again = Journal(tmp_path).pending()
    assert bodies(again) == [
        ("labels", 1, {"parent": 1}),
        ("labels", 1, {"parent": 2}),
        ("labels", 2, {"parent": 1}),
        ("verdict", 1, {"accepted": True}),
    ]
    (crop,) = again[0].crops
    assert (crop.compartment, crop.y, crop.x, crop.frame, crop.labels.tolist()) == (
        "nuclei",
        2,
        3,
        4,
        [[0, 1, 2], [3, 4, 5]],
    )
    assert len({e.key for e in again}) == 4
    assert bodies(journal.pending("B03", 2)) == [("labels", 2, {"parent": 1})]


def test_what_was_taken_goes(journal):
    sent = []
    assert journal.send(lambda edit: sent.append(edit.key)) == []
    assert len(sent) == 4
    assert journal.pending() == []


def test_without_an_answer_the_rest_waits(journal):
    def deliver(edit):
        if edit.body == {"parent": 2}:
            raise ConnectionError

    assert journal.send(deliver) == []
    assert bodies(journal.pending())[0] == ("labels", 1, {"parent": 2})
    assert len(journal.pending()) == 3


def test_what_was_made_upon_a_refused_correction_is_refused_with_it_and_kept(journal):
    tried = []

    def deliver(edit):
        tried.append((edit.kind, edit.field))
        return "too late" if (edit.kind, edit.field) == ("labels", 1) else None

    refused = journal.send(deliver)
    assert [e.body["parent"] for e, _ in refused] == [1, 2]
    first, second = [why for _, why in refused]
    assert first == "too late"
    assert states("journal.built_on_refused", second, field=1)
    assert tried == [("labels", 1), ("labels", 2), ("verdict", 1)]  # the second was not even sent
    assert journal.pending() == []
    assert sorted(p.suffix for p in (journal.folder / "refused").iterdir()) == [
        ".npz",
        ".npz",
        ".txt",
        ".txt",
    ]


def test_new_edits_come_after_those_that_wait(journal):
    journal.send(lambda edit: "no" if edit.body == {"parent": 1} else None)
    journal.add("verdict", "B04", None, {})
    journal.add("verdict", "B05", None, {})
    assert [e.well for e in journal.pending()] == ["B04", "B05"]


def test_a_damaged_file_is_named(journal):
    path = sorted(journal.folder.glob("*.npz"))[0]
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(StoreError, match=path.name):
        journal.pending()
