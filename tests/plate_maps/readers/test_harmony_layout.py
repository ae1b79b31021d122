"""Maps that know compounds only: Broad platemaps and Harmony's assay layout."""

from __future__ import annotations

import pytest

from plate_maps import Control, PlateMapError, Well, plate_format, read_plate_map
from tests.messages import says

BROAD = (
    "plate_map_name\twell_position\tbroad_sample\tmg_per_ml\tmmoles_per_liter\tsolvent\n"
    "JUMP\tA01\tBRD-K1\t1.2\t10\tDMSO\nJUMP\tA02\t\t\t\tDMSO\nJUMP\tA03\tBRD-K2\t0.5\t2.5\tDMSO\n"
)
LAYOUT = """\ufeff<?xml version="1.0" encoding="utf-8"?>
<AssayLayout xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5"><PlateCols>24</PlateCols><PlateRows>16</PlateRows>
{layers}</AssayLayout>"""


def layer(name, wells):
    entries = "".join(
        f"<Well><Row>{r}</Row><Col>{c}</Col><Value>{v}</Value><Color>1</Color></Well>"
        for (r, c), v in wells.items()
    )
    return f"<Layer><Name>{name}</Name><ValueType>string</ValueType>{entries}</Layer>"


def harmony(tmp_path, *layers):
    path = tmp_path / "Assaylayout.xml"
    path.write_text(LAYOUT.format(layers="".join(layers)), encoding="utf-8")
    return path


def test_a_broad_platemap_needs_only_the_line(tmp_path):
    (tmp_path / "map.txt").write_text(BROAD)
    found = read_plate_map(tmp_path / "map.txt", plate_format(384), line="U2OS")
    assert found[Well(1, 1)].dose_molar == pytest.approx(0.01)
    assert found[Well(1, 3)].compound == "BRD-K2"
    assert found[Well(1, 2)].control is Control.VEHICLE
    assert found[Well(1, 2)].compound == "DMSO"
    assert found.lines == ("U2OS",)
    with pytest.raises(PlateMapError, match=says("harmony_layout.no_line")):
        read_plate_map(tmp_path / "map.txt")


def test_a_harmony_layout_in_layers(tmp_path):
    wells = [(3, 3), (3, 4), (4, 3)]
    path = harmony(
        tmp_path,
        layer("Cell Line", dict.fromkeys(wells, "SOD1-07")),
        layer("Compound", {(3, 3): "DMSO", (3, 4): "ril", (4, 3): "ril", (5, 5): ""}),
        layer("Concentration (µM)", {(3, 4): "0.3", (4, 3): "3"}),
        layer("Control", {(3, 3): "vehicle"}),
    )
    found = read_plate_map(path, plate_format(384))
    assert list(found) == [Well(3, 3), Well(3, 4), Well(4, 3)]
    assert found[Well(3, 4)].dose_molar == pytest.approx(3e-7)
    assert found[Well(3, 3)].is_vehicle


def test_the_real_layout_is_read_and_said_to_be_empty(reference):
    real = reference / "vendor" / "operetta_v5" / "Assaylayout" / "Unnamed.xml"
    with pytest.raises(PlateMapError, match=says("harmony_layout.no_well_filled")):
        read_plate_map(real, line="L")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("<AssayLayout><Layer>", says("harmony_layout.not_xml")),
        ("<Other/>", says("harmony_layout.unknown_element")),
        (
            '<!DOCTYPE a [<!ENTITY b "c">]><AssayLayout>&b;</AssayLayout>',
            says("harmony_layout.not_xml"),
        ),
    ],
)
def test_other_and_hostile_xml_is_refused(tmp_path, content, sentence):
    (tmp_path / "layout.xml").write_text(content)
    with pytest.raises(PlateMapError, match=sentence):
        read_plate_map(tmp_path / "layout.xml", line="L")


def test_faults_name_the_layer(tmp_path):
    path = harmony(
        tmp_path, layer("Compound", {(3, 3): "x"}), layer("Concentration", {(3, 3): "5"})
    )
    with pytest.raises(PlateMapError, match=says("harmony_layout.dose_without_unit")):
        read_plate_map(path, line="L")
    with pytest.raises(PlateMapError, match=says("harmony_layout.no_layer_of_lines")):
        read_plate_map(path)
