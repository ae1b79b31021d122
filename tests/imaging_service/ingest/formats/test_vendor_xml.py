from __future__ import annotations

import pytest

from imaging_service.errors import ScanError
from imaging_service.ingest.formats.vendor_xml import attributes, children, elements
from imaging_service.ingest.plan import Limits
from tests.messages import says

XML = '<a:R xmlns:a="u"><a:I a:k="1"><a:T> text </a:T><a:T>second</a:T></a:I></a:R>'


def test_namespaces_are_dropped(tmp_path):
    (tmp_path / "x.xml").write_text(XML)
    read = dict(elements(tmp_path / "x.xml", Limits()))
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
    with pytest.raises(ScanError, match=says("harmony.not_xml")):
        list(elements(tmp_path / "x.xml", Limits()))


def test_a_file_over_the_limit_is_not_opened(tmp_path):
    (tmp_path / "x.xml").write_text(XML)
    with pytest.raises(ScanError, match=says("vendor_xml.too_large")):
        list(elements(tmp_path / "x.xml", Limits(xml_bytes=10)))
