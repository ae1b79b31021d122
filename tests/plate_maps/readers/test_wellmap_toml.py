from __future__ import annotations

import pytest

from plate_maps import Control, PlateMapError, Well, plates_of_map, read_plate_map
from tests.messages import says

LAYOUT = """
[expt]
line = "SOD1-07"
unit = "uM"

[col.1]
control = "vehicle"
compound = "DMSO"

[col.2]
compound = "riluzole"
dose = 0.3

[col.'3,4']
compound = "riluzole"
dose = 10

[row.A]
replicate = 1

[row.B]
replicate = 2
"""


def read(tmp_path, text, **more):
    path = tmp_path / "map.toml"
    path.write_text(text, encoding="utf-8")
    return read_plate_map(path, **more)


def test_a_layout_is_wells(tmp_path):
    found = read(tmp_path, LAYOUT)
    assert len(found) == 8
    assert found[Well.parse("A01")].control is Control.VEHICLE
    b2 = found[Well.parse("B02")]
    assert (b2.line, b2.compound, b2.dose_molar, b2.replicate) == ("SOD1-07", "riluzole", 3e-7, "2")
    assert found[Well.parse("A04")].dose_molar == 1e-5


def test_plates_of_a_layout_are_told_apart(tmp_path):
    text = (
        '[plate.BC1]\nline = "L1"\n[plate.BC2]\nline = "L2"\n[block.1x1.A1]\ncontrol ='
        ' "vehicle"\n[block.1x1.A2]\ncompound = "x"\ndose = "1 uM"\n'
    )
    assert read(tmp_path, text, plate="BC2").lines == ("L2",)
    assert plates_of_map(tmp_path / "map.toml") == ["BC1", "BC2"]
    with pytest.raises(PlateMapError, match=says("map.name_the_plate", plates="BC1, BC2")):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[well.A1\n", says("wellmap.not_toml")),
        (
            "[meta]\ninclude = '/etc/passwd'\n[well.A1]\nline = 'x'",
            says("wellmap.includes_another_file"),
        ),
        ("[extra]\nx = 1\n", says("wellmap.unknown_table")),
        ("[block.9999x9999.A1]\nline = 'x'", says("wellmap.outside_every_plate")),
        ("[plate.p1.block.9999x9999.A1]\nline = 'x'", says("wellmap.outside_every_plate")),
        ("[row.A]\nline = 'x'", says("wellmap.unreadable")),
        (
            "[well.A1]\ncompound = 'x'\ndose = '1 uM'",
            says("wellmap.line_missing"),
        ),
        ("", says("wellmap.no_wells")),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path, text, sentence):
    with pytest.raises(PlateMapError, match=sentence):
        read(tmp_path, text)
