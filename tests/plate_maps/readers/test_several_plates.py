from __future__ import annotations

import pytest

from plate_maps import PlateMapError, Well, plates_of_map, read_plate_map
from tests.messages import says

MAP = "barcode,well,line,compound,dose,unit,control\n" + "".join(
    f"{plate},A01,{line},DMSO,,,vehicle\n{plate},A02,{line},x,{dose},uM,\n"
    for plate, line, dose in (("BC1", "L1", 1), ("BC12", "L2", 3))
)


def read(tmp_path, plate="", text=MAP):
    (tmp_path / "map.csv").write_text(text, encoding="utf-8")
    return read_plate_map(tmp_path / "map.csv", plate=plate)


def test_one_plate_of_a_map_of_several(tmp_path):
    assert read(tmp_path, "BC12").lines == ("L2",)
    assert plates_of_map(tmp_path / "map.csv") == ["BC1", "BC12"]
    assert read(tmp_path, "2026-03-01_BC1_Measurement 1").lines == ("L1",)
    alone = "well,line,compound,dose,unit,control\nA01,L1,DMSO,,,vehicle\nA02,L1,x,1,uM,\n"
    # the same plate, however it is written
    assert read(tmp_path, "BC1").digest() == read(tmp_path, text=alone).digest()


def test_which_plate_is_never_guessed(tmp_path):
    with pytest.raises(PlateMapError, match=says("map.not_of_this_plate")):
        read(tmp_path, "BC2")
    with pytest.raises(PlateMapError, match=says("map.name_the_plate", plates="BC1, BC12")):
        read(tmp_path)
    with pytest.raises(PlateMapError, match=says("map.row_without_plate")):
        read(tmp_path, "BC1", MAP + ",A03,L1,x,1,uM,\n")


def test_a_folder_that_several_plates_fit_is_refused_with_both(tmp_path):
    text = MAP.replace("BC12", "2").replace("BC1", "1")
    with pytest.raises(PlateMapError, match=says("map.several_plates_fit")):
        read(tmp_path, "screen 1 plate 2", text)
    assert read(tmp_path, "2", text).lines == ("L2",)
    assert read(tmp_path, "screen plate 2", text).lines == ("L2",)


def test_a_jump_barcode_table_leads_to_its_map(tmp_path):
    (tmp_path / "platemap").mkdir()
    (tmp_path / "platemap" / "PM1.txt").write_text(
        "well_position\tbroad_sample\tmmoles_per_liter\tsolvent\tline\nA01\t\t\tDMSO\tL1\nA02\tBRD-1\t0.005\tDMSO\tL1\n"
    )
    (tmp_path / "barcode_platemap.csv").write_text(
        "Assay_Plate_Barcode,Plate_Map_Name\nBR1,PM1\nBR2,PM2\nBR3,../PM1\n"
    )
    found = read_plate_map(tmp_path / "barcode_platemap.csv", plate="BR1")
    assert found[Well.parse("A02")].dose_molar == 5e-6
    assert plates_of_map(tmp_path / "barcode_platemap.csv") == ["BR1", "BR2", "BR3"]
    for plate in ("BR2", "BR3"):
        with pytest.raises(PlateMapError, match=says("map.included_file_elsewhere")):
            read_plate_map(tmp_path / "barcode_platemap.csv", plate=plate)
