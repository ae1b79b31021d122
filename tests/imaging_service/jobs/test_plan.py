from __future__ import annotations

import numpy as np
import pytest
import tifffile

from imaging_service.errors import EngineError, PlateMapRefused, ProtocolError, ScanError
from imaging_service.jobs.plan import identify, read_inputs
from imaging_service.protocol import parse_protocol


def inputs_with(phantom_plate, tmp_path, *, protocol=None, plate_map=None, scan=None):
    base = {"name": "p", "channels": {"dna": "1", "neurite": "2", "aggregate": "3"}}
    return read_inputs(
        scan or phantom_plate / "Phantom-1",
        plate_map or phantom_plate / "plate_map.csv",
        parse_protocol(base | (protocol or {}), "p"),
        None,
        "auto",
    )


@pytest.mark.parametrize(
    ("protocol", "error", "says"),
    [
        ({"channels": {"dna": "1", "death": "dye"}}, ProtocolError, r"channels.death = 'dye' is not in the scan; its channels are 1 = '1'"),
        ({"channels": {"dna": 9}}, ProtocolError, "channels.dna = 9"),
        ({"acquisition": {"pixel_size_um": 0.3}}, ProtocolError, r"says 0.3 µm per pixel, the scan .* says 0.65"),
        ({"acquisition": {"plate_wells": 96}}, PlateMapRefused, "outside the 96-well"),
        ({"acquisition": {"plate_wells": 95}}, ProtocolError, "no plate has 95 wells"),
        ({"acquisition": {"time_point": 4}}, ProtocolError, "time point 4 is not in the scan"),
        ({"segmentation": {"engine": "magic"}}, EngineError, "unknown segmentation engine 'magic'"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_before_any_work(phantom_plate, tmp_path, protocol, error, says):
    with pytest.raises(error, match=says):
        identify(inputs_with(phantom_plate, tmp_path, protocol=protocol))


def test_a_scan_without_pixel_size_is_refused(tmp_path, phantom_plate):
    scan = tmp_path / "scan"
    scan.mkdir()
    first = (phantom_plate / "plate_map.csv").read_text().splitlines()[1].split(",")[0]
    for channel in (1, 2, 3):
        tifffile.imwrite(scan / f"x_{first}_s1_w{channel}.tif", np.ones((8, 8), np.uint16))
    with pytest.raises(ScanError, match=r"carries no pixel size; set acquisition\.pixel_size_um"):
        identify(inputs_with(phantom_plate, tmp_path, scan=scan))


def test_a_map_of_another_plate_is_refused(tmp_path, phantom_plate):
    other = tmp_path / "map.csv"
    other.write_text("well,line,control\nA01,L1,vehicle\n")
    with pytest.raises(PlateMapRefused, match="no well of the plate map map.csv was scanned"):
        identify(inputs_with(phantom_plate, tmp_path, plate_map=other))


def test_time_series_are_refused_until_one_point_is_named(shared_data, tmp_path):
    scan = shared_data / "vendor" / "imagexpress" / "ImageXpress_exported" / "9987_Plate_3435"
    (tmp_path / "map.csv").write_text("well,line,compound,dose,unit,control\nB02,L1,,,,vehicle\nB03,L1,x,1,uM,\n")
    base = {"name": "p", "channels": {"dna": "1"}}
    with pytest.raises(ScanError, match=r"has 2 time points; add a \[survival\] section"):
        identify(read_inputs(scan, tmp_path / "map.csv", parse_protocol(base, "p"), None, "auto"))
    one = parse_protocol(base | {"acquisition": {"time_point": 2}}, "p")
    assert identify(read_inputs(scan, tmp_path / "map.csv", one, None, "auto"))[0].wells == ("B02", "B03")
