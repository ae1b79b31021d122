from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from imaging_service.errors import ImageError, ScanError, damaged
from tests.messages import says


@pytest.mark.parametrize("error", [ValueError("bad header"), KeyError("tag"), ZeroDivisionError()])
def test_whatever_a_library_says_of_damaged_bytes_is_one_named_error(error):
    with (
        pytest.raises(
            ImageError, match=says("errors.cannot_be_read", kind=type(error).__name__)
        ) as caught,
        damaged(ImageError, "B03.tif"),
    ):
        raise error
    assert caught.value.__cause__ is error


def test_a_missing_file_is_the_plates_fault():
    with (
        pytest.raises(ImageError, match=says("errors.no_such_file")),
        damaged(ImageError, "B03.tif"),
    ):
        Path("/no/such/B03.tif").read_bytes()


def test_an_error_that_only_bears_the_system_s_name_is_the_file_s():
    with pytest.raises(ImageError), damaged(ImageError, "B03.tif"):
        raise gzip.BadGzipFile("not a gzipped file")


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(13, "disk"),
        OSError(5, "Input/output error"),
        MemoryError(),
        ScanError("own words"),
    ],
)
def test_what_the_machine_does_passes_as_it_is(error):
    with pytest.raises(type(error)) as caught, damaged(ImageError, "B03.tif"):
        raise error
    assert caught.value is error
