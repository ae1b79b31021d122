from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from imaging_service.errors import ReleaseRefused
from imaging_service.release.scan.unpack import pieces
from tests.messages import says


def test_what_is_packed_is_unpacked_with_its_place():
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("notes.txt", gzip.compress(b"deep\0"))
        archive.comment = b"by mk"
    found = {piece.where: piece.content for piece in pieces("a.zip", inner.getvalue())}
    assert found["a.zip › notes.txt › gzip"] == b"deep\0"
    assert found["a.zip › comment"] == b"by mk"


def test_texts_are_given_as_a_reader_sees_them():
    (raw, read) = pieces("a.html", b"<b>m&#107;eller \\u0041 %42</b>")
    assert raw.where == "a.html"
    assert read.text == "<b>mkeller A B</b>"


def test_a_file_that_cannot_be_looked_into_is_refused():
    with pytest.raises(ReleaseRefused, match=says("release.unreadable", file="x.parquet")):
        list(pieces("x.parquet", b"PAR1\0cut"))
    packed = b"x\0"
    for _ in range(8):
        packed = gzip.compress(packed)
    with pytest.raises(ReleaseRefused, match=says("release.packed_too_deep", file="deep.gz")):
        list(pieces("deep.gz", packed))
