from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from imaging_service.schemas import Claim, Region, Revert, Run, Submission, Verdict

TIME = datetime(2026, 1, 1, tzinfo=UTC)
SUBMISSION = {"scan": "/s", "plate_map_name": "m.csv", "plate_map_base64": "", "protocol": {}}


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ({"accepted": True}, False),
        ({"accepted": False, "reason": "blurred"}, False),
        ({"accepted": False}, True),
        ({"accepted": False, "reason": "  "}, True),
        ({"accepted": True, "track": 3}, True),
        ({"accepted": True, "track": 3, "field": 1}, False),
    ],
)
def test_a_rejection_has_a_reason_and_a_track_its_field(said, refused):
    whole = {"well": "B03", "author": "ann", "time": TIME} | said
    if refused:
        with pytest.raises(ValidationError):
            Verdict(**whole)
    else:
        assert Verdict(**whole).model_dump(exclude_unset=True) == whole


def test_a_misspelt_key_of_a_submission_is_refused():
    assert Submission(**SUBMISSION).device == "auto"
    with pytest.raises(ValidationError):
        Submission(**SUBMISSION, enginee="classical")
    with pytest.raises(ValidationError):
        Submission(**SUBMISSION, device="tpu")


@pytest.mark.parametrize("wrong", [{"y": -1}, {"x": -1}, {"height": 0}, {"width": 0}, {"frame": 0}])
def test_a_region_lies_in_a_field(wrong):
    sound = {"compartment": "nuclei", "y": 0, "x": 0, "height": 1, "width": 1}
    assert Region(**sound).frame == 1
    with pytest.raises(ValidationError):
        Region(**sound | wrong)


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"count": 51}, {"reviewer": ""}, {"reviewer": "x" * 101}]
)
def test_claims_are_few_and_of_somebody(wrong):
    assert Claim(reviewer="ann").count == 1
    with pytest.raises(ValidationError):
        Claim(**{"reviewer": "ann"} | wrong)


def test_nothing_goes_back_beyond_the_engine():
    assert Revert(to=1, author="ann").undoes is None
    with pytest.raises(ValidationError):
        Revert(to=0, author="ann")


def test_a_run_has_one_of_four_states():
    sound = {
        "id": "r",
        "plate_id": "p",
        "plate_name": "P",
        "protocol_name": "x",
        "engine": "classical",
        "progress": {},
        "submitted_at": TIME,
    }
    assert Run(**sound, state="queued").progress.model_dump() == {
        "done": 0,
        "failed": 0,
        "skipped": 0,
        "left": 0,
    }
    with pytest.raises(ValidationError):
        Run(**sound, state="lost")
