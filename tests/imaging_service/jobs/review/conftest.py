from __future__ import annotations

import shutil

import pytest

from napari_plugin.session import ReviewSession


@pytest.fixture
def reviewers(analysed, tmp_path):
    """Two sessions on copies of one run."""
    found = []
    for name in ("ann", "bob"):
        session = ReviewSession.open(
            shutil.copytree(analysed, tmp_path / name, ignore=shutil.ignore_patterns("*.lock"))
        )
        session.author = name
        found.append(session)
    return found
