from __future__ import annotations

import base64
import re

import pytest

from imaging_service.api import access
from imaging_service.web.assets import STATIC
from tests.imaging_service.conftest import MAP
from tests.messages import states

PROTOCOL = """name = "small"
[channels]
dna = "1"
neurite = "2"
aggregate = "3"
[segmentation]
engine = "classical"
[response]
phenotypes = ["live_density", "nc_log2_aggregate"]
"""


class Here:
    """Reads what is sent in this process."""

    def call(self, function, *args, seconds):
        return function(*args)


@pytest.fixture(scope="module")
def here(site):
    """The service without processes of their own for what is sent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(access, "readers", Here)
        yield site


def body(site, inputs, **more):
    return {
        "scan": str(inputs.scan),
        "plate_map_name": "map.csv",
        "plate_map_base64": base64.b64encode(MAP.encode()).decode(),
        "protocol": PROTOCOL,
    } | more


def test_a_scan_is_drawn_before_anything_runs(here, small_inputs):
    page = here.get("/submit/scan", params={"scan": str(small_inputs.scan)}).text
    assert len(re.findall(r'<g class="whole">', page)) == 6
    assert "pixel_size_um" in page
    assert 'id="submission"' in page


@pytest.mark.parametrize("scan", ["/etc", "relative", "/tmp/\u2028"])
def test_a_folder_that_is_not_allowed_is_refused_with_words(here, scan):
    answer = here.get("/submit/scan", params={"scan": scan})
    assert answer.status_code == 422
    assert '<p class="notice bad">' in answer.text
    assert 'id="submission"' not in answer.text


def test_a_plate_map_is_checked_and_drawn(here, small_inputs):
    part = here.ask("POST", "/submit/map", json=body(here, small_inputs)).text
    assert len(re.findall(r'<g class="line line-[01]">', part)) == 7
    assert part.count(">V</text>") == 3
    assert "C04" in part
    assert "few_doses" not in part


def test_a_fault_of_the_protocol_is_told_beside_the_drawn_map_and_nothing_can_be_sent(
    here, small_inputs
):
    sound = here.ask("POST", "/submit/map", json=body(here, small_inputs)).text
    assert '<div id="map-checked" data-ok="yes">' in sound
    wrong = PROTOCOL.replace("[channels]", "[channels]\nneurit = 9")
    part = here.ask("POST", "/submit/map", json=body(here, small_inputs, protocol=wrong)).text
    assert '<div id="map-checked" data-ok="no">' in part
    assert part.count(">V</text>") == 3
    assert states("submit.protocol_fault", part)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"plate_map_base64": base64.b64encode(b"well\nZZ9").decode()}, "plate_map_invalid"),
        ({"plate_map_base64": "%"}, "plate_map_invalid"),
        ({"plate_map_name": ".."}, "plate_map_invalid"),
        ({"protocol": "name ="}, "protocol_invalid"),
        ({"scan": "/etc"}, "forbidden"),
        ({"more": 1}, "request_invalid"),
    ],
)
def test_what_cannot_be_used_is_a_problem_with_its_code(here, small_inputs, change, code):
    answer = here.ask("POST", "/submit/map", json=body(here, small_inputs) | change)
    assert answer.json()["type"] == f"urn:imaging-service:{code}"


def test_the_run_is_queued_and_its_page_named(here, small_inputs):
    answer = here.ask("POST", "/submit/run", json=body(here, small_inputs))
    assert (answer.status_code, answer.json()["page"][:6]) == (202, "/view/")
    assert here.get(answer.json()["page"]).status_code == 200


def test_each_thing_that_a_scan_leaves_open_is_known_to_the_script_that_ticks_it_off(
    here, small_inputs
):
    page = here.get("/submit/scan", params={"scan": str(small_inputs.scan)}).text
    script = (STATIC / "submit.js").read_text(encoding="utf-8")
    answers = script[script.index("const ANSWERS") :].split("};")[0]
    assert re.findall(r'data-need="([^"]*)"', page) == ["channels"]
    known = set(re.findall(r'^  "?([a-z_.]+)"?: \[', answers, re.MULTILINE))
    assert known == {"channels", "acquisition.pixel_size_um", "acquisition.time_point"}
