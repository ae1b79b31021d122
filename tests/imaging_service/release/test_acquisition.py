from __future__ import annotations

import numpy as np
import pytest
import tifffile

from imaging_service.errors import ReleaseRefused
from imaging_service.release.acquisition import AcquisitionCard, read_card
from tests.messages import says

OME = """<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">
<Experimenter ID="Experimenter:0" UserName="mkeller" FirstName="Maria" LastName="Keller"/>
<Instrument ID="Instrument:0"><Microscope Manufacturer="Nikon" Model="Ti2"/>
<Objective ID="Objective:0" Model="Plan Apo" LensNA="0.8" NominalMagnification="20.0"/></Instrument>
<Image ID="Image:0"><AcquisitionDate>2026-03-01T09:30:00</AcquisitionDate>
<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="4" SizeY="4" SizeC="1" SizeZ="1" SizeT="1">
<Channel ID="Channel:0:0" AcquisitionMode="SpinningDiskConfocal"/><TiffData/></Pixels></Image></OME>"""


@pytest.mark.parametrize(
    ("folder", "instrument", "objective", "aperture", "fbbi", "plate"),
    [
        (
            "harmony_v5_phenix",
            "Phenix",
            "20×",
            "1",
            "FBbi:00000253",
            "384 PerkinElmer CellCarrier Ultra",
        ),
        ("operetta_v5", "Sonata", "10×", "0.3", "FBbi:00000243", None),
    ],
)
def test_harmony_says_what_it_imaged_with(
    reference, folder, instrument, objective, aperture, fbbi, plate
):
    card = read_card(reference / "vendor" / folder)
    assert card.instrument.endswith(instrument)
    assert (card.objective, card.numerical_aperture, card.fbbi) == (objective, aperture, fbbi)
    assert plate in (card.plate_type, None)
    assert card.acquired is not None
    assert {"operator", "plate name"} <= set(card.secrets)


def test_ome_says_so_in_the_first_file(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), np.uint8), description=OME, metadata=None)
    card = read_card(tmp_path)
    assert (card.instrument, card.objective, card.numerical_aperture) == (
        "Nikon Ti2",
        "Plan Apo 20.0×",
        "0.8",
    )
    assert (card.imaging_method.split()[0], card.fbbi) == ("spinning", "FBbi:00000253")
    assert card.acquired.isoformat() == "2026-03-01T09:30:00"
    assert card.secrets["operator"] == ("mkeller", "Maria", "Keller")


def test_a_scan_that_is_away_or_says_nothing_gives_an_empty_card(tmp_path):
    assert read_card(tmp_path / "away") == AcquisitionCard()
    assert read_card(tmp_path) == AcquisitionCard()
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), np.uint8))
    assert read_card(tmp_path) == AcquisitionCard()


def test_damaged_metadata_is_refused(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0cut")
    with pytest.raises(ReleaseRefused, match=says("release.unreadable", file=str(tmp_path))):
        read_card(tmp_path)
