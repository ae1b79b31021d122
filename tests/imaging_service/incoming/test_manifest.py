"""A manifest comes from anywhere: no path of it may leave the scan, on any system."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging_service.errors import UploadRefused
from imaging_service.incoming.manifest import (
    ManifestFile,
    check_name,
    check_path,
    check_paths,
    is_junk,
    manifest_id,
)
from tests.messages import says


@pytest.mark.parametrize(
    "path",
    [
        "a.tif",
        "Images/r01c01f01p01-ch1sk1fk1fl1.tiff",
        "TimePoint_1/ZStep_2/p_B02_s1_w1.tif",
        "B/3/0/c/0/0",
        "Plate µ/A - 1(fld 1 wv UV - DAPI).tif",
        ".zattrs",
        "zarr.json",
    ],
)
def test_paths_of_scans_are_taken(path):
    check_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../up",
        "a/../../b",
        "a//b",
        "./a",
        "a/.",
        "C:\\x",
        "a\\b",
        "c:x",
        "nul",
        "a/CON.tif",
        "lpt1.tif",
        "a\0b",
        "a\nb",
        "end.",
        "end ",
        "\ud800",
        "a" * 201,
        "/".join("a" * 33),
        "a*",
        "what?",
    ],
)
def test_paths_that_leave_the_scan_or_that_a_system_cannot_hold_are_refused(path):
    with pytest.raises(UploadRefused, match=says("upload.not_a_path")):
        check_path(path)


@given(st.text(max_size=40))
def test_a_path_that_is_taken_stays_inside(path):
    from pathlib import PurePosixPath, PureWindowsPath

    try:
        check_path(path)
    except UploadRefused:
        return
    for kind in (PurePosixPath, PureWindowsPath):
        inner = kind(path)
        assert not inner.is_absolute()
        assert not inner.drive
        assert ".." not in inner.parts
        assert "/".join(inner.parts) == path


@pytest.mark.parametrize(
    ("paths", "sentence"),
    [
        (["a.tif", "A.TIF"], says("upload.same_file")),
        (["\u00e4.tif", "a\u0308.tif"], says("upload.same_file")),
        (["a.tif", "a.tif"], says("upload.same_file")),
        (["a", "a/b"], says("upload.file_and_folder")),
        (["A/b/c", "a/B"], says("upload.file_and_folder")),
    ],
)
def test_two_names_of_one_file_are_refused(paths, sentence):
    with pytest.raises(UploadRefused, match=sentence):
        check_paths(paths)
    check_paths(["a/b", "a/c", "b"])


@pytest.mark.parametrize("name", ["a/b", ".hidden", ".staged-1"])
def test_a_scan_has_a_plain_name(name):
    with pytest.raises(UploadRefused, match=says("upload.name")):
        check_name(name)
    check_name("Plate 12")


def test_what_operating_systems_leave_is_junk():
    junk = [
        "._a.tif",
        "@eaDir/a.tif",
        ".Trash-1000/b.tif",
        "x/Thumbs.db",
        "__MACOSX/._a",
        ".DS_Store",
    ]
    assert [is_junk(path) for path in junk] == [True] * len(junk)
    assert [is_junk(path) for path in ("a.tif", ".zattrs", "x/zarr.json")] == [False] * 3


def test_the_same_files_under_the_same_name_are_one_upload():
    one = ManifestFile(path="a", size=1, sha256="0" * 64)
    other = ManifestFile(path="b", size=2, sha256="1" * 64)
    assert manifest_id("p", [one, other]) == manifest_id("p", [other, one])
    assert manifest_id("p", [one, other]) != manifest_id("q", [one, other])
    assert manifest_id("p", [one]) != manifest_id("p", [one.model_copy(update={"size": 2})])
