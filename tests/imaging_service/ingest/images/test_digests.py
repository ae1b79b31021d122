"""A source file is read only as it was submitted."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from imaging_service.errors import ImageError, ScanError
from imaging_service.ingest import plan_scan
from imaging_service.ingest.images import digests as module
from imaging_service.ingest.images.digests import as_submitted, combine, file_digests, file_states
from imaging_service.protocol import Acquisition
from tests.messages import says

A, B = "p_B02_s1_w1.tif", "p_B03_s1_w1.tif"


@pytest.fixture
def plan(tmp_path):
    for value, name in enumerate((A, B), start=1):
        tifffile.imwrite(tmp_path / name, np.full((6, 8), value, np.uint16))
    return plan_scan(tmp_path, Acquisition())


def same_dates(path, change):
    """Change a file as a copying program does, which sets the dates back."""
    before = path.stat()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def overwrite(path):
    shutil.copyfile(path.with_name(B), path)


def rename_over(path):
    shutil.copy2(path.with_name(B), path.with_name("new"))
    path.with_name("new").replace(path)


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut_short(path):
    os.truncate(path, path.stat().st_size - 1)


def grow(path):
    path.write_bytes(path.read_bytes() + b"\0")


CHANGES = [overwrite, rename_over, flip_a_bit, cut_short, grow]


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changed_is_refused_before_it_is_read(plan, change):
    digests = file_digests(plan)
    same_dates(plan.root / A, change)
    with (
        pytest.raises(ImageError, match=says("scan.changed", file=A)),
        as_submitted(plan.root, A, digests),
    ):
        raise AssertionError("the changed file was read")
    with as_submitted(plan.root, B, digests):
        pass


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_was_read_before_is_compared_again(plan, change, monkeypatch):
    monkeypatch.setattr(module, "_SETTLED_S", 0.0)
    digests = file_digests(plan)
    with as_submitted(plan.root, A, digests):
        pass
    same_dates(plan.root / A, change)
    with (
        pytest.raises(ImageError, match=says("scan.changed", file=A)),
        as_submitted(plan.root, A, digests),
    ):
        raise AssertionError("the changed file was read")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("fails", [False, True])
def test_a_file_that_changes_while_it_is_read_is_refused(plan, change, fails):
    digests = file_digests(plan)
    with (
        pytest.raises(ImageError, match=says("scan.changed", file=A)),
        as_submitted(plan.root, A, digests),
    ):
        same_dates(plan.root / A, change)
        if fails:
            raise ImageError("cannot be read")


def test_the_block_s_error_about_the_submitted_file_stays(plan):
    about = ImageError("not grey")
    with pytest.raises(ImageError) as raised, as_submitted(plan.root, A, file_digests(plan)):
        raise about
    assert raised.value is about


def test_a_copy_with_other_dates_is_the_submitted_file(plan):
    digests = file_digests(plan)
    shutil.copyfile(plan.root / A, plan.root / "copy")
    (plan.root / "copy").replace(plan.root / A)
    os.utime(plan.root / A, (1, 1))
    with as_submitted(plan.root, A, digests):
        pass


def test_an_absent_file_is_left_to_the_reader(plan):
    digests = file_digests(plan)
    (plan.root / A).unlink()
    with pytest.raises(ZeroDivisionError), as_submitted(plan.root, A, digests):
        raise ZeroDivisionError


def test_a_file_without_a_digest_is_refused(plan):
    with (
        pytest.raises(ImageError, match=says("scan.no_digest", file=A)),
        as_submitted(plan.root, A, {}),
    ):
        raise AssertionError("a file of unknown content was read")


def test_a_file_is_hashed_once_while_it_stays_as_it_is(plan, monkeypatch):
    digests, hashed = file_digests(plan), []
    original = module._sha256
    monkeypatch.setattr(module, "_sha256", lambda path: hashed.append(path.name) or original(path))
    for _ in range(3):
        with as_submitted(plan.root, A, digests):
            pass
    # Written a moment ago: another write could leave the same dates.
    assert hashed == [A] * 3
    monkeypatch.setattr(module, "_SETTLED_S", 0.0)
    for _ in range(3):
        with as_submitted(plan.root, A, digests):
            pass
    assert hashed == [A] * 4


def test_a_folder_changes_with_each_of_its_files(plan):
    folder = plan.root / "0"
    for name, content in (("c/0", b"one"), ("c/1", b"two"), ("zarr.json", b"{}")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    zarr = replace(plan, images=(replace(plan.images[0], path="0"),))
    digests = file_digests(zarr)
    with as_submitted(zarr.root, "0", digests):
        pass
    (folder / "c/0").rename(folder / "c/2")
    (folder / "c/1").rename(folder / "c/0")
    (folder / "c/2").rename(folder / "c/1")
    with (
        pytest.raises(ImageError, match=says("scan.changed", file="0")),
        as_submitted(zarr.root, "0", digests),
    ):
        raise AssertionError("swapped chunks were read")


@pytest.mark.parametrize("change", CHANGES)
def test_a_scan_that_is_being_written_is_not_submitted(plan, change):
    states = file_states(plan)
    same_dates(plan.root / A, change)
    with pytest.raises(ScanError, match=says("scan.being_written", file=A)):
        file_digests(plan, states)


def test_digests_of_names_and_contents_are_combined_in_any_order():
    assert combine([("a", "1"), ("b", "2")]) == combine([("b", "2"), ("a", "1")])
    assert combine([("a", "1"), ("b", "2")]) != combine([("a", "2"), ("b", "1")])
