from __future__ import annotations

import os
from pathlib import Path

import pytest

from imaging_service.errors import ScanError
from imaging_service.ingest.formats.vendor_xml import attributes, children, elements
from imaging_service.ingest.plan import Limits
from tests.messages import says

XML = '<a:R xmlns:a="u"><a:I a:k="1"><a:T> text </a:T><a:T>second</a:T></a:I></a:R>'


def test_namespaces_are_dropped(tmp_path):
    (tmp_path / "x.xml").write_text(XML)
    with elements(tmp_path / "x.xml", Limits()) as parts:
        read = dict(parts)
    assert list(read) == ["T", "I", "R"]
    assert attributes(read["I"]) == {"k": "1"}
    assert children(read["I"]) == {"T": "text"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<a>",
        b"\xff\xfe<",
        b"<?xml version='1.0' encoding='no-such'?><a/>",
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    ],
)
def test_what_is_no_xml_is_refused_by_file(tmp_path, content):
    (tmp_path / "x.xml").write_bytes(content)
    with (
        pytest.raises(ScanError, match=says("harmony.not_xml")),
        elements(tmp_path / "x.xml", Limits()) as parts,
    ):
        list(parts)


def test_a_file_over_the_limit_is_not_opened(tmp_path):
    (tmp_path / "x.xml").write_text(XML)
    with (
        pytest.raises(ScanError, match=says("vendor_xml.too_large")),
        elements(tmp_path / "x.xml", Limits(xml_bytes=10)),
    ):
        pass


def test_the_file_is_closed_when_its_reader_stops_early(tmp_path):
    """By an error as well, whose traceback keeps the reader's names for longer than the file."""
    (tmp_path / "x.xml").write_text(XML)

    def opened():
        places = (os.readlink(p) for p in Path("/proc/self/fd").iterdir() if p.is_symlink())
        return str(tmp_path / "x.xml") in places

    with elements(tmp_path / "x.xml", Limits()) as parts:
        first = next(parts)
        assert opened()
    assert first[0] == "T"
    assert not opened()
