from __future__ import annotations

import pytest

from imaging_service.errors import ScanError
from imaging_service.ingest.images.scan_files import scan_files
from imaging_service.ingest.plan import FindingKind, Limits
from tests.messages import says, states


def written(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_files_are_listed_with_their_folders(tmp_path):
    files = scan_files(written(tmp_path, "b/2.TIF", "a.tif", "b/c/p.HTD"), Limits())
    assert files.paths == ("a.tif", "b/2.TIF", "b/c/p.HTD")
    assert files.tiffs == ("a.tif", "b/2.TIF")
    assert files.named("*.htd") == files.named("P.HTD") == ("b/c/p.HTD",)
    assert files.near(["b/2.TIF"]).paths == ("a.tif", "b/2.TIF")
    assert files.junk_finding() == ()


def test_files_of_other_programs_are_left_out_with_a_count(tmp_path):
    junk = (
        "._B02_s1_w1.tif",
        "@eaDir/B02_s1_w1.tif/SYNO@thumb.tif",
        ".Trash-1000/B03_s1_w1.tif",
        "Thumbs.db",
        "a/.DS_Store",
        "$RECYCLE.BIN/B04.tif",
    )
    files = scan_files(written(tmp_path, "B02_s1_w1.tif", "a/B03_s1_w1.tif", *junk), Limits())
    assert files.paths == ("B02_s1_w1.tif", "a/B03_s1_w1.tif")
    (finding,) = files.junk_finding()
    assert finding.kind == FindingKind.LEFT_OUT
    assert states("scan_files.junk", finding.message, count=6)


def test_links_are_followed_within_the_roots_and_refused_outside(tmp_path):
    scan = written(tmp_path / "roots" / "scan", "TimePoint_1/B02.tif")
    inside = written(tmp_path / "roots" / "later", "B02.tif")
    (scan / "TimePoint_2").symlink_to(inside)
    limits = Limits(roots=(tmp_path / "roots",))
    assert scan_files(scan, limits).paths == ("TimePoint_1/B02.tif", "TimePoint_2/B02.tif")
    (scan / "TimePoint_3").symlink_to(written(tmp_path / "elsewhere", "B02.tif"))
    with pytest.raises(ScanError, match=says("scan_files.link_outside", link="TimePoint_3")):
        scan_files(scan, limits)
    (scan / "TimePoint_3").unlink()
    (scan / "B03.tif").symlink_to(tmp_path / "elsewhere" / "B02.tif")
    with pytest.raises(ScanError, match=says("scan_files.link_outside", link="B03.tif")):
        scan_files(scan, limits)
    # Without roots the scan is the user's own, and so are its links.
    assert "B03.tif" in scan_files(scan, Limits()).paths


def test_a_folder_that_links_to_itself_ends(tmp_path):
    written(tmp_path, "a/B02.tif")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    with pytest.raises(ScanError, match=says("scan_files.link_to_itself")):
        scan_files(tmp_path, Limits())


def test_a_link_to_nothing_is_an_image_that_will_be_missed(tmp_path):
    (tmp_path / "B02.tif").symlink_to(tmp_path / "gone.tif")
    assert scan_files(tmp_path, Limits()).paths == ("B02.tif",)


def test_too_many_files_are_refused(tmp_path):
    written(tmp_path, *(f"{n}.txt" for n in range(5)))
    with pytest.raises(ScanError, match=says("scan_files.too_many")):
        scan_files(tmp_path, Limits(images=1))
