from __future__ import annotations

import pytest

from imaging_service.models.fields import traced_fields
from plate_maps.registry import Line
from tests.imaging_service.models.drawn_fields import reviewed
from tests.messages import states


@pytest.mark.parametrize("consent", ["HMB-NMDS", "DUO:0000042; DUO:0000015", "no: nmds"])
def test_a_consent_that_forbids_methods_development_gives_no_field(consent):
    fields, left_out = traced_fields([reviewed(consent=consent), reviewed(well="B03", line="L2")])
    assert [f.record.well for f in fields] == ["B03"]
    assert states("models.consent_forbids", left_out[0], place="P1 B02 field 1", line="L1")


def test_a_consent_that_was_withdrawn_since_the_export_counts():
    today = {"L1": Line("L1", "D1", consent="GRU-NMDS"), "L2": Line("L2", "D2", consent="GRU")}
    given = [reviewed(consent="GRU"), reviewed(well="B03", line="L2", consent="GRU")]
    fields, left_out = traced_fields(given, today)
    assert [f.record.line for f in fields] == ["L2"]
    assert len(left_out) == 1


def test_only_what_a_reviewer_stands_for_is_truth():
    half = reviewed(traced={"nuclei": "engine", "somas": "engine", "neurites": "corrected"})
    none = reviewed(well="B04", traced={"nuclei": "engine", "puncta": "corrected"})
    fields, left_out = traced_fields([half, none])
    assert [set(f.labels) for f in fields] == [{"neurites"}]
    assert states("models.nothing_reviewed", left_out[0], place="P1 B04 field 1")


def test_labels_of_a_channel_that_is_not_there_are_no_truth():
    (field,), _ = traced_fields([reviewed(roles=["dna", None])])
    assert set(field.labels) == {"nuclei"}


def test_a_field_that_is_given_twice_counts_once_in_its_newest_version():
    fields, _ = traced_fields(
        [reviewed(label_version=2), reviewed(label_version=4), reviewed(label_version=3)]
    )
    assert [f.record.label_version for f in fields] == [4]
    # The same well of another plate is another field.
    assert len(traced_fields([reviewed(), reviewed(plate="P2")])[0]) == 2
