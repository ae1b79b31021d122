from __future__ import annotations

import pytest

from plate_maps import Control, PlateMapError, Well, read_plate_map
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
    typed = XML.replace("<referenceItem displayName", '<referenceItem type="Compound" displayName')
    assert read(tmp_path, typed).digest() == read(tmp_path, XML).digest()


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
