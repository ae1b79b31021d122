from __future__ import annotations

import pytest

from imaging_service.access.secret_files import SESSION_KEY, secret
from imaging_service.errors import StoreError


def test_a_secret_is_made_once_and_no_other_user_can_read_it(tmp_path):
    first = secret(tmp_path, SESSION_KEY)
    path = tmp_path / "secrets" / SESSION_KEY
    assert len(first) == 43
    assert secret(tmp_path, SESSION_KEY) == first
    assert secret(tmp_path, "other") != first
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_secret_that_others_can_read_is_refused(tmp_path):
    secret(tmp_path, SESSION_KEY)
    path = tmp_path / "secrets" / SESSION_KEY
    path.chmod(0o644)
    path.parent.chmod(0o755)
    with pytest.raises(StoreError):
        secret(tmp_path, SESSION_KEY)


def test_a_file_that_holds_no_secret_is_refused(tmp_path):
    secret(tmp_path, SESSION_KEY)
    (tmp_path / "secrets" / SESSION_KEY).write_text("")
    with pytest.raises(StoreError):
        secret(tmp_path, SESSION_KEY)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "secrets").write_text("a file")
    with pytest.raises(StoreError):
        secret(tmp_path, SESSION_KEY)
