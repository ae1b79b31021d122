from __future__ import annotations

import pytest

from imaging_service.backups.manifest import (
    NAME,
    BackedFile,
    Manifest,
    read_manifest,
    write_manifest,
)
from imaging_service.database.tenants import now
from imaging_service.errors import BackupError


def test_a_manifest_is_read_as_it_was_written(tmp_path):
    made = Manifest(
        "0.3.0", now(), "/data", "database.sqlite", "0" * 64, {"a/ä": BackedFile(1, 2, "1" * 64)}
    )
    write_manifest(tmp_path, made)
    assert read_manifest(tmp_path) == made


@pytest.mark.parametrize("content", [None, b"", b"{", b"{}", b"\xff", b'{"version": "0.3.0"}'])
def test_a_folder_without_a_whole_manifest_is_no_backup(tmp_path, content):
    if content is not None:
        (tmp_path / NAME).write_bytes(content)
    with pytest.raises(BackupError):
        read_manifest(tmp_path)
