from __future__ import annotations

import re

import pytest

from plate_maps import Control, PlateMapError, Well, read_plate_map
from plate_maps.readers.reading import read_divided
from tests.messages import says

XML = """<?xml version="1.0" encoding="utf-8"?>
<platemap>
  <wellStore><wells>
    <well row="0" col="0"><items>
      <wellItem type="CellType" passage="31"><referenceItem displayName="SOD1-07"/></wellItem>
      <wellItem type="Compound" concentration="0.1" concentrationUnits="%"><referenceItem displayName="DMSO"/></wellItem>
      <wellItem type="GrowthCondition"><referenceItem displayName="no BDNF"/></wellItem>
    </items></well>
    <well row="1" col="2"><items>
      <wellItem type="CellType"><referenceItem displayName="SOD1-07"/></wellItem>
      <wellItem type="Compound" concentration="0.3" concentrationUnits="µM"><referenceItem displayName="riluzole"/></wellItem>
      <wellItem type="GrowthCondition"><referenceItem displayName="no BDNF"/></wellItem>
    </items></well>
    <well row="7" col="11"><items/></well>
  </wells></wellStore>
</platemap>
"""


def read(tmp_path, text, name="map.PlateMap"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return read_plate_map(tmp_path / name)


@pytest.mark.parametrize("name", ["map.PlateMap", "map.xml"])
def test_wells_items_and_units(tmp_path, name):
    found = read(tmp_path, XML, name)
    assert list(found) == [Well.parse("A01"), Well.parse("B03")]
    assert (found[Well.parse("A01")].control, found[Well.parse("A01")].dose_molar) == (
        Control.VEHICLE,
        0.0,
    )
    treated = found[Well.parse("B03")]
    assert (treated.line, treated.compound, treated.dose_molar) == ("SOD1-07", "riluzole", 3e-7)
    assert dict(treated.annotations) == {"growth_condition": "no BDNF"}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('type="GrowthCondition"', 'type="Antibody"', says("incucyte.unknown_item")),
        (
            'type="GrowthCondition"',
            'type="Compound"',
            says("map.compound_without_dose", what="B03: compound no BDNF"),
        ),
        (
            'concentrationUnits="µM"',
            'concentrationUnits="ng/mL"',
            says("map.unit_unknown", unit="ng/mL"),
        ),
        ('row="1" col="2"', 'row="x" col="2"', says("incucyte.well_without_place")),
        ('concentration="0.3"', "", says("map.compound_without_dose", what="compound riluzole")),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, old, new, sentence):
    with pytest.raises(PlateMapError, match=sentence):
        read(tmp_path, XML.replace(old, new))


def test_an_item_and_the_library_entry_inside_it_are_one(tmp_path):
    """The form of the instrument's files, in which both carry a type."""
    typed = re.sub(
        r'type="(\w+)"([^>]*)><referenceItem', r'type="\1"\2><referenceItem type="\1"', XML
    )
    assert typed.count('<referenceItem type="GrowthCondition"') == 2
    assert read(tmp_path, typed).digest() == read(tmp_path, XML).digest()


# The form of the instrument's files: types twice, empty wells, a growth condition, % for DMSO.
REAL = """<?xml version="1.0" encoding="utf-8"?>
<plateMap>
  <referenceItemManager><referenceItems>
    <referenceItem type="Compound" description="DMSO" displayName="DMSO" colorArgb="-1" />
    <referenceItem type="Compound" description="riluzole" displayName="riluzole" colorArgb="-2" />
    <referenceItem type="GrowthCondition" description="2e4" displayName="2 x 10e4/mL" />
  </referenceItems></referenceItemManager>
  <wellStore><wells>
    <well row="0" col="0" />
    <well row="1" col="1"><items>
      <wellItem type="Compound" concentration="0.1" concentrationUnits="%">
        <referenceItem type="Compound" description="DMSO" displayName="DMSO" colorArgb="-1" />
      </wellItem>
      <wellItem type="GrowthCondition">
        <referenceItem type="GrowthCondition" description="2e4" displayName="2 x 10e4/mL" />
      </wellItem>
    </items></well>
    <well row="1" col="2"><items>
      <wellItem type="Compound" concentration="3" concentrationUnits="µM">
        <referenceItem type="Compound" description="riluzole" displayName="riluzole" />
      </wellItem>
      <wellItem type="GrowthCondition">
        <referenceItem type="GrowthCondition" description="2e4" displayName="2 x 10e4/mL" />
      </wellItem>
    </items></well>
  </wells></wellStore>
</plateMap>
"""


def real(tmp_path, text=REAL):
    (tmp_path / "real.PlateMap").write_text(text, encoding="utf-8")
    return read_plate_map(tmp_path / "real.PlateMap", line="L1")


def test_a_file_of_the_instrument_is_read(tmp_path):
    plate = real(tmp_path)
    assert [w.name for w in plate] == ["B02", "B03"]
    vehicle, treated = plate["B02"], plate["B03"]
    assert (vehicle.control, vehicle.compound, vehicle.dose_molar) == (
        Control.VEHICLE,
        "DMSO",
        0.0,
    )
    assert (treated.control, treated.compound, treated.dose_molar) == (
        Control.NONE,
        "riluzole",
        3e-6,
    )
    assert vehicle.annotations == treated.annotations == (("growth_condition", "2 x 10e4/mL"),)


@pytest.mark.parametrize("name", ["DMSO 0.1%", "0.1 % DMSO", "DMSO (0.1% v/v)", "Medium only"])
def test_a_solvent_is_known_with_its_fraction(tmp_path, name):
    plate = real(tmp_path, REAL.replace('displayName="DMSO"', f'displayName="{name}"'))
    assert plate["B02"].is_vehicle


def test_a_compound_at_0_beside_its_solvent_is_vehicle(tmp_path):
    zero = (
        '<wellItem type="Compound" concentration="0" concentrationUnits="µM">'
        '<referenceItem type="Compound" displayName="riluzole"/></wellItem>'
    )
    well = '<well row="1" col="1"><items>'
    plate = real(tmp_path, REAL.replace(well, well + zero))
    assert (plate["B02"].compound, plate["B02"].dose_molar) == ("DMSO", 0.0)
    assert plate["B02"].is_vehicle


def test_growth_conditions_are_read_in_any_order(tmp_path):
    item = '<wellItem type="GrowthCondition"><referenceItem displayName="{}"/></wellItem>'
    first, second = item.format("BDNF"), item.format("1 % FBS")
    wells = REAL.replace("</items></well>", f"{first}{second}</items></well>", 1)
    at = wells.rindex("</items></well>")
    plate = real(tmp_path, f"{wells[:at]}{second}{first}{wells[at:]}")
    assert dict(plate["B02"].annotations)["growth_condition"] == "1 % FBS; 2 x 10e4/mL; BDNF"
    assert plate["B02"].annotations == plate["B03"].annotations


RILUZOLE = (
    '<wellItem type="Compound" concentration="0.3" concentrationUnits="µM">'
    '<referenceItem displayName="riluzole"/></wellItem>'
)


@pytest.mark.parametrize(
    ("new", "sentence"),
    [
        ("", says("incucyte.cells_only")),
        (RILUZOLE.replace('type="Compound" ', ""), says("incucyte.item_without_type")),
        (
            RILUZOLE.replace("<referenceItem", '<referenceItem type="CellType"'),
            says("incucyte.item_of_two_types"),
        ),
        (
            RILUZOLE.replace('displayName="riluzole"', 'displayName=" "'),
            says("incucyte.item_without_name"),
        ),
        (RILUZOLE.replace("µM", "%"), says("incucyte.percent")),
        (RILUZOLE.replace("µM", ""), says("incucyte.unit_missing")),
        (RILUZOLE.replace("0.3", "0"), says("incucyte.zero_without_solvent")),
        (RILUZOLE.replace("0.3", "0.00"), says("incucyte.zero_without_solvent")),
    ],
)
def test_a_fault_is_named_by_well_and_item(tmp_path, new, sentence):
    assert RILUZOLE in XML
    with pytest.raises(PlateMapError, match=sentence) as caught:
        read(tmp_path, XML.replace(RILUZOLE, new))
    assert len(caught.value.problems) == 1


def test_a_well_filled_in_twice_is_refused(tmp_path):
    start, end = XML.index('<well row="1"'), XML.index('<well row="7"')
    again = XML[:end] + XML[start:end].replace("riluzole", "edaravone") + XML[end:]
    with pytest.raises(PlateMapError, match=says("incucyte.well_twice")):
        read(tmp_path, again)
    empty = XML[:end] + '<well row="1" col="2" />' + XML[end:]
    assert read(tmp_path, empty).digest() == read(tmp_path, XML).digest()


def test_one_display_name_of_two_compounds_is_refused(tmp_path):
    """Both would stand in one curve."""
    well = (
        '<well row="1" col="{}"><items><wellItem type="Compound" concentration="1"'
        ' concentrationUnits="µM"><referenceItem type="Compound" description="{}"'
        ' displayName="17273"/></wellItem></items></well>'
    )
    wells = well.format(0, "A") + well.format(1, "{}")
    text = f"<plateMap><wellStore><wells>{wells}</wells></wellStore></plateMap>"
    with pytest.raises(PlateMapError, match=says("incucyte.two_descriptions")):
        real(tmp_path, text.format("B"))
    assert real(tmp_path, text.format("A"))["B02"].compound == "17273"


def test_cells_of_two_types_in_a_well_are_refused_and_of_one_type_twice_are_one(tmp_path):
    item = '<wellItem type="CellType" passage="31"><referenceItem displayName="{}"/></wellItem>'
    first = item.format("SOD1-07")
    assert first in XML
    twice = read(tmp_path, XML.replace(first, first + first))
    assert twice.digest() == read(tmp_path, XML).digest()
    with pytest.raises(PlateMapError, match=says("incucyte.two_cell_types")):
        read(tmp_path, XML.replace(first, first + item.format("astrocytes")))


def test_two_compounds_in_a_well_are_a_combination_and_a_solvent_is_none(tmp_path):
    second = (
        '<wellItem type="Compound" concentration="{}" concentrationUnits="{}">'
        '<referenceItem displayName="{}"/></wellItem></items>'
    )
    last = XML.rindex("</items>")
    both = XML[:last] + second.format("3", "µM", "edaravone") + XML[last + len("</items>") :]
    found = read(tmp_path, both)["B03"]
    assert (found.compound, found.dose_molar) == ("edaravone 3 µM + riluzole 300 nM", 3.3e-6)
    solvent = XML[:last] + second.format("0.1", "%", "DMSO") + XML[last + len("</items>") :]
    found = read(tmp_path, solvent)["B03"]
    assert (found.compound, found.dose_molar, found.is_vehicle) == ("riluzole", 3e-7, False)


def test_a_growth_condition_of_some_wells_only_is_refused(tmp_path):
    with pytest.raises(PlateMapError, match=says("map.item_differs", what="growth_condition")):
        read(tmp_path, XML.replace("no BDNF", "BDNF 10 ng", 1))
    dense = '<wellItem type="CellType" seedingDensity="{}"'
    text = XML.replace('<wellItem type="CellType" passage="31"', dense.format(5000))
    with pytest.raises(PlateMapError, match=says("map.item_differs", what="seeding_density")):
        read(tmp_path, text.replace('<wellItem type="CellType">', dense.format(9000) + ">"))


def test_a_map_of_several_growth_conditions_on_a_line_is_divided_by_them(tmp_path):
    """Vehicle with BDNF is no vehicle for wells without: each has a map, of several items too."""
    item = '<wellItem type="GrowthCondition"><referenceItem displayName="1 % FBS"/></wellItem>'
    condition = '<wellItem type="GrowthCondition">'
    text = XML.replace("no BDNF", "BDNF 10 ng", 1).replace(condition, item + condition, 1)
    (tmp_path / "two.PlateMap").write_text(text, encoding="utf-8")
    with pytest.raises(PlateMapError, match=says("map.item_differs", what="growth_condition")):
        read_plate_map(tmp_path / "two.PlateMap")
    parts = read_divided(tmp_path / "two.PlateMap", "growth_condition")
    assert {value: [w.name for w in part] for value, part in parts.items()} == {
        "1 % FBS; BDNF 10 ng": ["A01"],
        "no BDNF": ["B03"],
    }
    # What else differs within a value is still refused.
    dense = '<wellItem type="CellType" seedingDensity="{}"'
    text = text.replace("BDNF 10 ng", "no BDNF").replace(item, "")
    text = text.replace('<wellItem type="CellType" passage="31"', dense.format(5000))
    text = text.replace('<wellItem type="CellType">', dense.format(9000) + ">")
    (tmp_path / "two.PlateMap").write_text(text, encoding="utf-8")
    with pytest.raises(PlateMapError, match=says("map.item_differs", what="seeding_density")):
        read_divided(tmp_path / "two.PlateMap", "growth_condition")
