from __future__ import annotations

from datetime import datetime
from pathlib import Path

from imaging_service.release.scan.known import Secret, known_secrets, redacted
from plate_maps.registry import Batch, Line


def test_all_that_the_laboratory_calls_things_is_known():
    record = {
        "plate_name": "Okafor-pl31",
        "run_id": "a" * 64,
        "inputs": {"scan": "/mnt/screens/Okafor-pl31", "plate_map_source": "map 31.csv"},
        "source_files": {"x/Okafor31_B02_s1.tif": "", "x/Okafor31_B02_s2.tif": ""},
    }
    line = Line(
        "MND-107", "don-188", hpscreg="UKXi001-A", rrid="CVCL_B5P3", bank="Nordbank", clone="cl-4"
    )
    batch = Batch("diff-9", operator="mkeller", cryo_lot="cryo-771", media_lots="lot-1; lot-2")
    found = known_secrets(
        [record],
        [line],
        [batch],
        runs=[Path("/srv/okafor/results/run-31")],
        dates=[datetime(2026, 3, 1)],
        named={"operator": ["ada lee"]},
    )
    texts = {s.text for s in found}
    assert texts >= {"Okafor-pl31", "a" * 64, "/mnt/screens/Okafor-pl31", "map 31.csv", "run-31"}
    assert texts >= {
        "Okafor31_B02_s",
        "MND-107",
        "don-188",
        "UKXi001-A",
        "CVCL_B5P3",
        "Nordbank",
        "cl-4",
    }
    assert texts >= {
        "diff-9",
        "mkeller",
        "cryo-771",
        "lot-1",
        "lot-2",
        "/srv/okafor/results/run-31",
        "ada lee",
    }
    assert texts >= {"2026-03-01", "20260301", "01.03.2026", "03/01/2026", "01 Mar 2026"}
    assert not texts & {"", "/", "mnt", "results", "screens"}


def test_folders_that_name_somebody_or_something_are_known():
    texts = {
        s.text for s in known_secrets([], [], [], runs=[Path("/home/mkeller/scans/MN_2025/out")])
    }
    assert texts == {"/home/mkeller/scans/MN_2025/out", "mkeller", "MN_2025", "out"}


def test_what_is_in_every_file_by_chance_is_not_searched_for():
    texts = ("1", "b", "12345", "A01", "P24", "control", "Healthy", "status")
    assert [t for t in texts if Secret("line", t).searchable] == []
    assert all(Secret("line", t).searchable for t in ("b2", "123456", "HC-01", "A01-iso"))


def test_sentences_lose_secrets_paths_and_files():
    secrets = [Secret("line", "MND-1"), Secret("operator", "mk")]
    text = r"well B02: C:\scans\p1.tif and r01c01.tiff of MND-1 (mk, mkeller) cannot be read"
    assert redacted(text, secrets) == (
        "well B02: [file] and [file] of [line] ([operator], mkeller) cannot be read"
    )
