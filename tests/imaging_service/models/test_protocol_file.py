from __future__ import annotations

import tomllib

import pytest

from imaging_service.models.protocol_file import protocol_toml
from imaging_service.protocol import parse_protocol

WHOLE = {
    "name": 'a "quoted" name',
    "notes": "two\nlines, µm",
    "channels": {"dna": "DAPI", "neurite": 2},
    "acquisition": {"pixel_size_um": 0.325, "frame_interval_h": 12.0},
    "segmentation": {"engine": "motornet:models/a", "neurite_probability": 0.4},
    "measurement": {"min_cells": 10},
    "survival": {"definition": "rounding", "max_gap": 1},
    "response": {"phenotypes": ["live_density"]},
    "accuracy": {
        "engine": "motornet:models/a",
        "settings_sha256": "ab" * 32,
        "fields": 8,
        "wells": 4,
        "runs": ["r1", "r2"],
        "figures": {"neurite_f1": [0.91, 0.88, 0.93], "count_error": [0.05]},
    },
}


@pytest.mark.parametrize("content", [WHOLE, {"name": "p", "channels": {"dna": 1}}])
def test_what_is_written_is_read_as_an_equal_protocol(content):
    protocol = parse_protocol(content, "p")
    assert parse_protocol(tomllib.loads(protocol_toml(protocol)), "p") == protocol


def test_defaults_are_left_out():
    text = protocol_toml(parse_protocol({"name": "p", "channels": {"dna": 1}}, "p"))
    assert text == 'name = "p"\n\n[channels]\ndna = 1\n'
