from __future__ import annotations

import pytest

from imaging_service.errors import SummaryRefused
from imaging_service.federation.signing import (
    is_signed,
    new_consortium_key,
    new_site_key,
    read_consortium_key,
    sign,
)
from tests.messages import says


def test_only_the_owner_of_a_key_signs_with_it(tmp_path):
    public, other = new_site_key(tmp_path / "a.key"), new_site_key(tmp_path / "b.key")
    signature = sign(tmp_path / "a.key", b"message")
    assert is_signed(public, b"message", signature)
    assert not is_signed(public, b"massage", signature)
    assert not is_signed(other, b"message", signature)
    assert not is_signed("not hex", b"message", signature)
    assert not is_signed(public, b"message", b"\xff")
    assert (tmp_path / "a.key").stat().st_mode & 0o077 == 0


def test_keys_are_never_written_over_and_short_ones_are_refused(tmp_path):
    new_consortium_key(tmp_path / "c.key")
    assert len(read_consortium_key(tmp_path / "c.key")) == 32
    with pytest.raises(SummaryRefused, match=says("federation.key_exists")):
        new_site_key(tmp_path / "c.key")
    (tmp_path / "short").write_bytes(b"x")
    for read in (read_consortium_key, lambda path: sign(path, b"")):
        with pytest.raises(SummaryRefused, match=says("federation.no_key")):
            read(tmp_path / "short")
