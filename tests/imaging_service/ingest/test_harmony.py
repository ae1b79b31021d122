from __future__ import annotations

import pytest

from imaging_service.errors import ScanError
from imaging_service.ingest import plan_scan
from imaging_service.ingest.contract import PlateReaderContract
from imaging_service.ingest.harmony import HarmonyReader
from imaging_service.protocol import Acquisition


class TestHarmonyKeepsTheContract(PlateReaderContract):
    reader = HarmonyReader()

    @pytest.fixture
    def scan(self, shared_data):
        return shared_data / "vendor" / "operetta_v5" / "operetta_plate"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<a>", "not readable XML"),
        (b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "not readable XML"),
        (b"<a/>", "names no plate"),
        (b"<E><Plates><Plate><Name>p</Name><PlateRows>8</PlateRows><PlateColumns>12</PlateColumns></Plate></Plates><Images><Image><URL>x.tiff</URL></Image></Images></E>", "has no Row, Col"),
    ],
)  # fmt: skip
def test_hostile_and_foreign_indices(tmp_path, content, says):
    (tmp_path / "Index.idx.xml").write_bytes(content)
    with pytest.raises(ScanError, match=says):
        plan_scan(tmp_path, Acquisition())
