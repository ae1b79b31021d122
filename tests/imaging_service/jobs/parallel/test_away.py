from __future__ import annotations

import shutil
from collections import namedtuple

import pytest

from imaging_service.errors import ImageError, Unavailable
from imaging_service.jobs.parallel import away
from tests.messages import says, states

Volume = namedtuple("Volume", "total used free")
GIB = 2**30


@pytest.fixture
def scan(tmp_path):
    folder = tmp_path / "Plate-1"
    folder.mkdir()
    (folder / "a.tif").write_bytes(b"II")
    return folder


def test_a_file_that_is_there_is_its_reader_s_business(scan):
    with away.reachable(scan, "a.tif"):
        pass
    with pytest.raises(ImageError), away.reachable(scan, "a.tif"):
        raise ImageError("damaged")


@pytest.mark.parametrize("error", [ImageError("a.tif: the file is missing"), None])
def test_a_file_that_went_away_is_the_machine_s_fault(scan, error):
    with (
        pytest.raises(Unavailable, match=says("away.file", path=scan / "a.tif")),
        away.reachable(scan, "a.tif"),
    ):
        (scan / "a.tif").unlink()
        if error is not None:
            raise error


def test_a_scan_that_went_away_is_named(scan):
    with (
        pytest.raises(Unavailable, match=says("away.scan", path=scan)),
        away.reachable(scan, "a.tif"),
    ):
        scan.rename(scan.parent / "elsewhere")
        raise ImageError("a.tif: the file is missing")


def test_an_error_of_the_disk_says_what_and_where():
    assert away.cause(OSError(28, "No space left on device", "/d/x")).endswith(": /d/x")
    assert states("away.full", away.cause(OSError(28, "No space left on device")))
    assert states("away.full", away.cause(OSError(122, "Disk quota exceeded")))
    assert away.cause(OSError(5, "Input/output error", "/d/x")) == "Input/output error: /d/x"


@pytest.mark.parametrize(
    ("volume", "full"),
    [
        (Volume(9 * 2**20, 0, 190_000), False),
        (Volume(9 * 2**20, 0, 180_000), True),
        (Volume(1000 * GIB, 0, 257 * 2**20), False),
        (Volume(1000 * GIB, 0, 255 * 2**20), True),
    ],
)
def test_a_volume_is_full_before_its_last_byte(monkeypatch, tmp_path, volume, full):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: volume)
    reason = away.shortage(tmp_path)
    assert bool(reason) is full
    assert not full or states("away.full", reason)


def test_a_data_folder_that_is_away_takes_no_work(tmp_path):
    assert states("away.data_folder", away.shortage(tmp_path / "gone"))
