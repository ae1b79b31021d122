"""A protocol to start from: what the scan says, and gaps where it says nothing."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
import tifffile

from imaging_service.errors import ProtocolError
from imaging_service.inspection.starting_protocol import (
    missing_roles,
    proposed_roles,
    starting_protocol,
)
from imaging_service.inspection.survey import survey
from imaging_service.protocol import Acquisition, parse_protocol
from tests.imaging_service.inspection.test_survey import draw, names


def named_scan(folder, channels):
    """An InCell export, whose names of files carry those of the channels."""
    folder.mkdir()
    for channel in channels:
        tifffile.imwrite(
            folder / f"B - 2(fld 1 wv {channel}).tif",
            np.zeros((16, 16), np.uint16),
            ome=True,
            metadata={"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5},
        )
    return survey(folder)


def test_channels_that_are_called_after_stains_make_a_protocol_that_is_accepted(tmp_path):
    seen = named_scan(tmp_path / "Plate 1", ["UV - DAPI", "Green - TUJ1", "Red - TDP-43", "Cy5"])
    text = starting_protocol(seen)
    protocol = parse_protocol(tomllib.loads(text), "start")
    assert protocol.channels == {
        "dna": "UV - DAPI",
        "neurite": "Green - TUJ1",
        "aggregate": "Red - TDP-43",
    }
    assert (protocol.name, protocol.acquisition, protocol.segmentation.engine) == (
        "Plate-1",
        Acquisition(),
        "motornet",
    )
    assert missing_roles(seen.plan.channels) == ""


@pytest.mark.parametrize(
    ("channels", "roles"),
    [
        (("DAPI", "Hoechst"), {}),  # two of them: which one is for a person to say
        (("Alexa 488", "Cy5", "w1"), {}),
        (("Chatter", "Fused", "endapium"), {}),  # a word inside another one
        (
            ("Hoechst 33342", "MAP2 Alexa 647"),
            {"dna": "Hoechst 33342", "neurite": "MAP2 Alexa 647"},
        ),
        (
            ("HOECHST", "Lamin B1", "G3BP1"),
            {"dna": "HOECHST", "envelope": "Lamin B1", "granule": "G3BP1"},
        ),
    ],
)
def test_a_role_is_proposed_only_for_the_name_of_a_stain(channels, roles):
    assert proposed_roles(channels) == roles


def test_a_protocol_with_a_gap_is_refused(tmp_path):
    seen = survey(draw(tmp_path / "p", names()))
    assert missing_roles(seen.plan.channels) != ""
    with pytest.raises(ProtocolError):
        parse_protocol(tomllib.loads(starting_protocol(seen)), "start")


def test_what_was_given_to_read_the_scan_stands_in_it(tmp_path):
    given = Acquisition(pixel_size_um=0.25, file_pattern="imagexpress", reader="tiff", time_point=2)
    for t in (1, 2, 3):
        (tmp_path / f"TimePoint_{t}").mkdir()
        draw(tmp_path / f"TimePoint_{t}", names())
    seen = survey(tmp_path, given)
    assert tomllib.loads(starting_protocol(seen, given))["acquisition"] == {
        "pixel_size_um": 0.25,
        "file_pattern": "imagexpress",
        "reader": "tiff",
        "time_point": 2,
    }
    undecided = tomllib.loads(starting_protocol(survey(tmp_path)))
    assert undecided["acquisition"] == {}
    assert "survival" not in undecided


@pytest.mark.parametrize("name", ['a"b', "back\\slash", "µ-channel", "new\nline"])
def test_any_name_of_a_channel_is_a_text_of_toml(name):
    from imaging_service.inspection.starting_protocol import _text

    assert tomllib.loads(f"x = {_text(name)}") == {"x": name}
