"""Every kind of secret, in every way of writing, inside every type of file."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import re
import struct
import unicodedata
import zipfile
import zlib

import imagecodecs
import numpy as np
import polars as pl
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st

from imaging_service.errors import ReleaseRefused
from imaging_service.release.scan.known import Secret
from imaging_service.release.scan.search import SecretSearch, search_bundle
from imaging_service.release.scan.unpack import Piece, pieces
from tests.messages import says

SECRETS = {
    "line": "MND-107",
    "donor": "don-188",
    "operator": "mkeller",
    "date": "2025-11-01",
    "plate name": "Okafor-pl31",
    "path": "/mnt/screens/Okafor",
    "batch": "diff9",
}
SEARCH = SecretSearch([Secret(kind, text) for kind, text in SECRETS.items()])


def base64_at(shift):
    return lambda text: base64.b64encode(b";" * shift + text + b";;").decode()


WRITTEN = {
    "in plain": lambda text: text.decode(),
    "in capitals": lambda text: text.decode().upper(),
    "in hex": lambda text: text.hex(),
    "in capital hex": lambda text: text.hex().upper(),
    **{f"in base64, {shift}": base64_at(shift) for shift in (0, 1, 2)},
    "in hex of Windows": lambda text: text.decode().encode("utf-16-le").hex(),
    "in base64 of Windows": lambda text: base64_at(1)(text.decode().encode("utf-16-le")),
    "as a title, in hex": lambda text: text.decode().title().encode().hex(),
    "in base64 of links": lambda text: base64.urlsafe_b64encode(b"???>" + text + b";").decode(),
}


def png(kind, content):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", 8, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" + bytes(8)) if kind != b"IDAT" else content
    extra = chunk(kind, content) if kind != b"IDAT" else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + extra
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


def parquet(**more):
    stream = io.BytesIO()
    pl.DataFrame(
        {"n": list(range(9)), **{k: [v] * 9 for k, v in more.items() if k != "metadata"}}
    ).write_parquet(stream, compression="zstd", metadata=more.get("metadata"))
    return stream.getvalue()


def tiff(**more):
    stream = io.BytesIO()
    tifffile.imwrite(
        stream, more.pop("pixels", np.zeros((16, 16), np.uint8)), compression="zlib", **more
    )
    return stream.getvalue()


def archive(name, content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(name, content)
    return stream.getvalue()


def as_pixels(text):
    return np.frombuffer(text.encode().ljust(256, b"\0"), np.uint8).reshape(16, 16)


FILES = {
    "a text": lambda t: f"x\t{t}\ty\n".encode(),
    "a page": lambda t: f"<p title='{t}'>&nbsp;</p>".encode(),
    "JSON": lambda t: json.dumps({"attributes": {"source": t}}).encode(),
    "JSON, escaped": lambda t: ('{"a": "' + "".join(f"\\u{ord(c):04x}" for c in t) + '"}').encode(),
    "HTML, escaped": lambda t: "".join(f"&#{ord(c)};" for c in t).encode(),
    "Parquet's cells": lambda t: parquet(note=t),
    "Parquet's lists": lambda t: parquet(note=[t]),
    "Parquet's bytes": lambda t: parquet(note=t.encode()),
    "Parquet's metadata": lambda t: parquet(metadata={"by": t}),
    "Parquet's column names": lambda t: parquet(**{t: 1}),
    "PNG's tEXt": lambda t: png(b"tEXt", b"Author\0" + t.encode()),
    "PNG's zTXt": lambda t: png(b"zTXt", b"Author\0\0" + zlib.compress(t.encode())),
    "PNG's iTXt": lambda t: png(b"iTXt", b"Author\0\1\0en\0\0" + zlib.compress(t.encode())),
    "PNG's eXIf": lambda t: png(b"eXIf", b"MM\0" + t.encode()),
    "PNG's pixels": lambda t: png(b"IDAT", zlib.compress(b"\0" + t.encode().ljust(64, b"\0"))),
    "PNG's iCCP": lambda t: png(b"iCCP", b"sRGB\0\0" + zlib.compress(t.encode())),
    "behind PNG": lambda t: png(b"tEXt", b"A\0b") + t.encode(),
    "behind PNG, as a chunk": lambda t: png(b"tEXt", b"A\0b") + b"x" * 9 + f" {t} ".encode(),
    "a picture in a page": lambda t: (
        b"<img src='data:image/png;base64,"
        + base64.b64encode(png(b"zTXt", b"Author\0\0" + zlib.compress(t.encode())))
        + b"'>"
    ),
    "zlib": lambda t: zlib.compress(t.encode()),
    "bz2": lambda t: bz2.compress(t.encode()),
    "xz": lambda t: lzma.compress(t.encode()),
    "zstd": lambda t: imagecodecs.zstd_encode(t.encode()),
    "a text of Windows": lambda t: f"by {t}\r\n".encode("utf-16"),
    "a text of Windows without a mark": lambda t: f"by {t}\r\n".encode("utf-16-be"),
    "a Latin-1 text": lambda t: f"Müller\t{t}\n".encode("latin-1"),
    "JSON, with slashes escaped": lambda t: json.dumps([t]).replace("/", "\\/").encode(),
    "TIFF's description": lambda t: tiff(description=t),
    "TIFF's software": lambda t: tiff(software=t),
    "TIFF's pixels": lambda t: tiff(pixels=as_pixels(t)),
    "a workbook": lambda t: archive("xl/sharedStrings.xml", f"<t>{t}</t>"),
    "a name in a zip": lambda t: archive(t.replace("/", "_"), b"\0"),
    "gzip": lambda t: gzip.compress(t.encode()),
    "gzip in a zip": lambda t: archive("x.gz", gzip.compress(t.encode())),
}


@pytest.mark.parametrize("file", FILES)
def test_each_secret_is_found_however_it_is_written(file):
    for kind, text in SECRETS.items():
        for written, write in WRITTEN.items():
            if file == "a name in a zip" and kind == "path":
                continue
            # A word of under eight letters stands in pixels by chance: it counts where it is packed.
            if "pixels" in file and len(text) < 8 and written in ("in plain", "in capitals"):
                continue
            content = FILES[file](write(text.encode()))
            hits = [h for piece in pieces("f", content) for h in SEARCH.in_piece("f", piece)]
            assert kind in {h.kind for h in hits}, (kind, written)


def hits_of(secret, content):
    search = SecretSearch([secret])
    return [h for piece in pieces("f", content) for h in search.in_piece("f", piece)]


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKD"])
@pytest.mark.parametrize("spelled", ["Jörg Müller", "J\u00adörg Mü\u200bller", "JÖRG MÜLLER"])
def test_letters_of_any_form_are_the_same_letters(form, spelled):
    secret = Secret("operator", unicodedata.normalize("NFD", "Jörg Müller"))
    assert hits_of(secret, f"by {unicodedata.normalize(form, spelled)}.".encode())


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le"])
def test_a_name_in_another_encoding_is_found(encoding):
    secret = Secret("operator", "Jörg Müller")
    assert hits_of(secret, "by Jörg Müller\n".encode(encoding))
    assert hits_of(secret, png(b"tEXt", b"Author\0" + "Jörg Müller".encode("latin-1")))
    assert hits_of(Secret("operator", "jkm"), "by jkm\n".encode("utf-16"))


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("2025-11-01T09:30:00", True),
        ("2025-11-01T093000Z", True),
        ("ALS20251101_2", True),
        ("20251101T093000", True),
        ("20251101093000", True),
        ("202511010930", True),
        ("2025-11-012", False),
        ("120251101", False),
        ("2025110177", False),
    ],
)
def test_a_date_is_found_within_an_instant(text, held):
    dates = [Secret("date", "2025-11-01"), Secret("date", "20251101")]
    search = SecretSearch(dates)
    content = f'{{"at": "{text}"}}'.encode()
    assert bool(list(search.in_piece("f", Piece("f", content)))) is held


def test_texts_of_windows_are_found():
    piece = Piece("f", b"\0\1" + "Okafor-pl31".encode("utf-16-le"))
    assert [h.written for h in SEARCH.in_piece("f", piece)] == ["in UTF-16"]


def test_arrays_and_names_of_a_bundle_are_searched(tmp_path):
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=(2, 16, 16), dtype="uint8", chunks=(1, 16, 16)
    )
    array[1] = as_pixels("Okafor-pl31")
    (tmp_path / "MND-107").mkdir()
    assert {(h.file, h.kind) for h in search_bundle(tmp_path, SEARCH)} == {
        ("a.zarr/zarr.json", "plate name"),
        ("a.zarr/c/1/0/0", "plate name"),
        ("MND-107", "line"),
    }


def test_short_names_are_words_and_not_letters():
    search = SecretSearch([Secret("batch", "b2"), Secret("operator", "mk")])

    def found(text):
        return {h.text for h in search.in_piece("f", Piece("f", text.encode()))}

    assert found("b2\tmk\n") == {"b2", "mk"}
    assert found("ab2 B2 b22 mkeller amk MK") == set()
    assert found('<c r="A1">mk</c>') == {"mk"}


@given(st.binary(min_size=0, max_size=400))
def test_bytes_by_chance_are_no_hit(content):
    assert list(SEARCH.in_piece("f", Piece("f", content))) == []


@pytest.mark.parametrize("name", ["run.log", "db.sqlite", "x.py"])
def test_a_file_that_a_bundle_has_no_reason_to_hold_stops_it(tmp_path, name):
    (tmp_path / name).write_text("harmless")
    with pytest.raises(ReleaseRefused, match=says("release.strange_file", file=name)):
        search_bundle(tmp_path, SEARCH)


def test_a_link_stops_it(tmp_path):
    (tmp_path / "a.tsv").symlink_to("/etc/hostname")
    with pytest.raises(ReleaseRefused, match=says("release.link", file="a.tsv")):
        search_bundle(tmp_path, SEARCH)


def test_programs_of_this_service_are_not_searched(tmp_path):
    (tmp_path / "report.html").write_text("<script>var mkeller=1;</script><p>x</p>")
    assert len(search_bundle(tmp_path, SEARCH)) == 1
    assert search_bundle(tmp_path, SEARCH, ["var mkeller=1;"]) == []


def test_words_of_other_alphabets_and_overlapping_ones_are_found():
    secrets = [Secret("operator", t) for t in ("Müller", "S1-iso", "S1x", "Ян")]
    search = SecretSearch([*secrets, Secret("line", "MND-1")])

    def found(text):
        return {h.text for h in search.in_piece("f", Piece("f", text.encode()))}

    assert found("MÜLLER") == {"Müller"}
    assert found("é" * 50 + " müller " + "é" * 50) == {"Müller"}
    # The longer one is cut off by a letter; the shorter one inside it stands.
    assert found("MND-1-isoX, S1-isoX") == {"MND-1"}
    assert found("xMND-1 MND-12 Ян.") == {"Ян"}


@pytest.mark.parametrize("between", range(30))
def test_the_beginning_of_a_longer_word_is_no_hit(between):
    search = SecretSearch([Secret("batch", "b1"), Secret("line", "MND-107")])
    text = "xMND-107" + "-" * between + "b1f3 " + "0" * 40
    assert list(search.in_piece("f", Piece("f", text.encode()))) == []
    text = "0" * 40 + " 3b1" + "-" * between + "MND-107x"
    assert list(search.in_piece("f", Piece("f", text.encode()))) == []


@given(st.text(alphabet="abB1-é ", max_size=200))
def test_no_whole_word_is_missed_in_any_text(text):
    words = ("ab", "ab-1", "b1b1", "B1", "é-ab")
    search = SecretSearch([Secret("line", w) for w in words])
    ours = {
        h.text for h in search.in_piece("f", Piece("f", text.encode())) if h.written == "in plain"
    }
    for word in words:
        flags = re.IGNORECASE if len(word) >= 4 else 0
        stands = re.search(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", text, flags)
        # Where a longer secret begins at the same place, it is the one that is told.
        longer = [o for o in ours if o != word and word in o]
        assert (word in ours) == bool(stands) or (stands and longer)
