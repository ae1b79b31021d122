from __future__ import annotations

import pytest

from plate_maps import Control, PlateMapError, Well, read_plate_map

XML = """<?xml version="1.0" encoding="utf-8"?>
<platemap>
  <wellStore><wells>
    <well row="0" col="0"><items>
      <wellItem type="CellType" passage="31"><referenceItem displayName="SOD1-07"/></wellItem>
      <wellItem type="Compound" concentration="0.1" concentrationUnits="%"><referenceItem displayName="DMSO"/></wellItem>
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
    ("old", "new", "says"),
    [
        ('type="GrowthCondition"', 'type="Antibody"', "B03: unknown item type 'Antibody'"),
        ('type="GrowthCondition"', 'type="Compound"', "two compounds, riluzole and no BDNF"),
        (
            'concentrationUnits="µM"',
            'concentrationUnits="ng/mL"',
            "'ng/mL' is not a concentration unit",
        ),
        ('row="1" col="2"', 'row="x" col="2"', "a well element needs row and col"),
        ('concentration="0.3"', "", "compound riluzole has no dose"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, old, new, says):
    with pytest.raises(PlateMapError, match=says):
        read(tmp_path, XML.replace(old, new))
