"""Summaries as one file."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from imaging_service.errors import SummaryRefused
from imaging_service.federation.parcel import pack, site_of, unpack
from tests.imaging_service.federation.drawn_parcels import summary_folder
from tests.messages import says


def test_a_packed_summary_is_unpacked_to_the_same_files(tmp_path):
    folder = summary_folder(tmp_path / "sent")
    content = pack(folder)
    assert site_of(content) == "north"
    assert pack(folder) == content
    back = unpack(content, tmp_path / "back")
    names = sorted(p.name for p in folder.iterdir())
    assert sorted(p.name for p in back.iterdir()) == names
    assert all((back / n).read_bytes() == (folder / n).read_bytes() for n in names)


def test_a_folder_that_is_no_summary_is_refused(tmp_path):
    with pytest.raises(SummaryRefused, match=says("parcel.no_summary")):
        pack(tmp_path)


def changed(tmp_path, change):
    folder = summary_folder(tmp_path / "sent")
    change(folder)
    return pack(folder)


def manifest(**values):
    def change(folder):
        content = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(content | values))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "lines.tsv").write_text("other"), says("parcel.not_signed_file")),
        (lambda f: (f / "lines.tsv").unlink(), says("parcel.not_signed_file")),
        (lambda f: (f / "signature").unlink(), says("parcel.not_signed")),
        (manifest(site="../north"), says("parcel.no_name")),
        (manifest(files=3), says("parcel.no_manifest")),
        (lambda f: (f / "manifest.json").write_text("{"), says("parcel.no_manifest")),
    ],
)
def test_what_is_not_whole_is_refused(tmp_path, change, message):
    with pytest.raises(SummaryRefused, match=message):
        site_of(changed(tmp_path, change))


def zipped(*entries):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a zip", says("parcel.unreadable")),
        (zipped(("../escape", "x")), says("parcel.strange_file")),
        (zipped(("sub/lines.tsv", "x")), says("parcel.strange_file")),
        (pytest.param(b"", says("parcel.unreadable"), id="empty")),
    ],
)
def test_an_archive_that_is_no_summary_writes_no_file(tmp_path, content, message):
    with pytest.raises(SummaryRefused, match=message):
        unpack(content, tmp_path / "back")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_file_twice_and_a_bomb_are_refused(tmp_path, monkeypatch):
    with pytest.raises(SummaryRefused, match=says("parcel.twice")):
        site_of(zipped(("lines.tsv", "a"), ("lines.tsv", "b")))
    monkeypatch.setattr("imaging_service.federation.parcel._MOST_BYTES", 3)
    with pytest.raises(SummaryRefused, match=says("parcel.too_large")):
        site_of(zipped(("lines.tsv", "abcd")))
    whole = bytearray(pack(summary_folder(tmp_path / "sent")))
    whole[60] ^= 0xFF
    monkeypatch.undo()
    with pytest.raises(SummaryRefused):
        site_of(bytes(whole))


def spoilt(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    return content.replace(old, new)


def lzma(*, damaged: bool) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("manifest.json", bytes(range(256)))
    content = stream.getvalue()
    # In the middle of the compressed stream.
    return content[:52] + b"\xff" * 8 + content[60:] if damaged else content


@pytest.mark.parametrize(
    "content",
    [
        lzma(damaged=True),
        # The central directory begins before the file does.
        zipped(("manifest.json", b"{}"))[:-6] + b"\xff\xff\xff\x7f\0\0",
        # A name that says it is UTF-8, and is not.
        spoilt(zipped(("ä.json", b"{}")), "ä".encode(), b"\xc3\x28"),
        zipped(("manifest.json", b"[" * 100_000)),
    ],
    ids=["lzma", "offset", "name", "depth"],
)
def test_a_forged_zip_is_refused_by_name(content):
    with pytest.raises(SummaryRefused, match=says("parcel.forged")):
        site_of(content)
