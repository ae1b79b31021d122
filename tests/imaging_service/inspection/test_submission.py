from __future__ import annotations

import pytest

from imaging_service.errors import Forbidden, PlateMapRefused
from imaging_service.inspection.submission import look_at_map, look_at_protocol, look_at_scan
from tests.imaging_service.conftest import MAP
from tests.messages import states


def test_a_scan_is_looked_at_as_plain_values(small_inputs):
    looked = look_at_scan(str(small_inputs.scan), (small_inputs.scan.parent.resolve(),))
    assert (looked["wells"], looked["plate_rows"]) == (6, 4)
    assert looked["present"]["B02"] == 1.0
    assert "[channels]" in looked["protocol"]
    # Channel names that are numbers tell no role.
    assert len(looked["needs"]) == 1
    with pytest.raises(Forbidden):
        look_at_scan(str(small_inputs.scan), ())


def test_a_plate_map_is_looked_at_with_its_findings():
    looked = look_at_map("map.csv", MAP.encode(), "Small-1", 24, "")
    assert len(looked["wells"]) == 7
    assert looked["wells"][0]["control"] == "vehicle"
    assert looked["lines"] == ["L1", "L2"]
    assert {f["severity"] for f in looked["findings"]} <= {"error", "warning"}
    assert looked["findings"]


def test_a_faulty_plate_map_is_refused():
    with pytest.raises(PlateMapRefused):
        look_at_map("map.csv", b"well,line\nZ99,L1\n", "", 24, "")


def test_a_protocol_is_looked_at_without_a_scan():
    assert look_at_protocol({"name": "p", "channels": {"dna": 1}}) == ""
    assert states(
        "protocol.no_such_role", look_at_protocol({"name": "p", "channels": {"neurit": 1}})
    )
