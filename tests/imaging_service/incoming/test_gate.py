from __future__ import annotations

import os
import socket

import pytest

from imaging_service.errors import Forbidden, ScanError
from imaging_service.incoming.gate import allowed, checkpoint_of, inspect
from imaging_service.incoming.s3 import place
from imaging_service.ingest.plan import Limits
from imaging_service.ingest.readers import plan_scan
from imaging_service.protocol import Acquisition
from tests.messages import says


@pytest.fixture
def scan(tmp_path):
    made = tmp_path / "roots" / "plate"
    (made / "Images").mkdir(parents=True)
    (made / "Images" / "a.tif").write_bytes(b"II")
    return made


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../..", "plate/../../x", "a\0.tif", 5000 * "a", 300 * "a" + "/b"]
)
def test_a_path_outside_the_roots_is_refused_however_it_is_written(scan, path, monkeypatch):
    monkeypatch.chdir(scan.parent)
    with pytest.raises(Forbidden):
        allowed(path, [scan])


def test_a_path_counts_by_where_it_leads(scan, tmp_path):
    (tmp_path / "link").symlink_to(scan)
    (scan / "out").symlink_to("/etc")
    (scan / "ring").symlink_to(scan / "ring")
    assert allowed(tmp_path / "link", [scan.parent]) == scan
    for name in ("out", "out/passwd", "ring"):
        with pytest.raises(Forbidden):
            allowed(scan / name / "x", [scan.parent])


ON_S3 = place("s3://plates/lab")


@pytest.mark.parametrize("path", ["s3://plates/lab", "s3://plates/lab/p", "s3:/plates/lab/p"])
def test_a_folder_on_s3_passes_under_a_root_on_s3(tmp_path, path):
    assert str(allowed(path, [tmp_path, ON_S3])) == path.replace("s3:/p", "s3://p")
    assert str(allowed(place(path), [ON_S3])) == path.replace("s3:/p", "s3://p")


@pytest.mark.parametrize(
    "path",
    ["s3://plates", "s3://plates/lab-beside/p", "s3://other/lab/p", "s3://plates/Lab", "/etc"],
)
def test_what_is_not_under_a_root_on_s3_is_refused(path):
    with pytest.raises(Forbidden, match=says("gate.outside", path=path)):
        allowed(path, [ON_S3])


def test_a_root_of_this_machine_opens_nothing_on_s3(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for root in (tmp_path, tmp_path / "s3:", tmp_path.parent):
        with pytest.raises(Forbidden, match=says("gate.outside", path=ON_S3)):
            allowed(str(ON_S3), [root])


@pytest.mark.parametrize("path", ["s3://plates/lab/../other", "s3://id:geheim@plates/lab"])
def test_an_address_that_says_more_is_refused_and_not_repeated(path):
    with pytest.raises(Forbidden, match=says("s3.address")) as refused:
        allowed(path, [ON_S3])
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("engine", "file"),
    [
        ("classical", None),
        ("cellpose:cpsam_v2", None),
        ("cellpose:/etc/passwd", "/etc/passwd"),
        ("motornet:..\\x", "..\\x"),
        ("cellpose:secret", "secret"),
        ("cellpose:not/there", "not/there"),
        ("cellpose:not\\there", "not\\there"),
        ("motornet:weights.safetensors", "weights.safetensors"),
        ("cellpose:a\0", "a\0"),
        ("cellpose:" + 5000 * "a", 5000 * "a"),
    ],
)
def test_an_engine_names_a_model_or_a_file(tmp_path, monkeypatch, engine, file):
    (tmp_path / "secret").touch()
    monkeypatch.chdir(tmp_path)
    asked = checkpoint_of(engine)
    assert (None if asked is None else str(asked)) == file


@pytest.mark.parametrize("target", ["/etc/passwd", "/dev/zero", "/etc", "../../../outside"])
@pytest.mark.parametrize("name", ["b.tif", "Index.idx.xml", "Images/zarr.json"])
def test_a_link_that_leaves_the_roots_is_refused_by_name(scan, target, name):
    (scan / name).symlink_to(target)
    with pytest.raises(Forbidden, match=says("gate.named", entry=name)):
        plan_scan(scan, Acquisition(), Limits(roots=(scan.parent,)))


def pipe(path):
    os.mkfifo(path)


def socket_file(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


def device(path):
    path.symlink_to("/dev/zero")


def link_to_a_pipe(path):
    os.mkfifo(path.parent.parent / "pipe")
    path.symlink_to(path.parent.parent / "pipe")


@pytest.mark.parametrize("make", [pipe, socket_file, device, link_to_a_pipe])
@pytest.mark.parametrize("roots", [True, False])
@pytest.mark.parametrize("name", ["b.tif", "zarr.json", "Index.idx.xml"])
def test_what_is_no_file_is_refused_by_name_and_not_opened(scan, make, roots, name, monkeypatch):
    monkeypatch.chdir(scan)
    make(scan / name)
    with pytest.raises((ScanError, Forbidden), match=says("gate.named", entry=name)):
        plan_scan(scan, Acquisition(), Limits(roots=(scan.parent,) if roots else ()))


def test_links_inside_the_roots_are_followed_once(scan):
    elsewhere = scan.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "c.tif").write_bytes(b"II")
    (scan / "more").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(scan)
    (scan / "gone.tif").symlink_to(elsewhere / "gone.tif")
    inspect(scan, (scan.parent,))
    os.mkfifo(elsewhere / "d.tif")
    with pytest.raises(ScanError, match=says("gate.named", entry="more/d.tif")):
        inspect(scan, (scan.parent,))


def test_a_folder_that_cannot_be_listed_is_said_so(scan, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ScanError, match=says("gate.unreadable")):
        inspect(scan)
