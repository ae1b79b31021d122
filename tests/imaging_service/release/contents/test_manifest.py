from __future__ import annotations

import hashlib

import pytest

from imaging_service.errors import ReleaseRefused
from imaging_service.release.contents.manifest import NAME, check_manifest, write_manifest
from tests.messages import says


@pytest.fixture
def bundle(tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "a.tsv").write_text("a\n")
    (tmp_path / "tables" / "b.tsv").write_text("b\n")
    write_manifest(tmp_path)
    return tmp_path


def test_each_file_stands_in_it_with_its_digest(bundle):
    digest = hashlib.sha256(b"b\n").hexdigest()
    assert [line.split() for line in (bundle / NAME).read_text().splitlines()][1] == [
        digest,
        "tables/b.tsv",
    ]
    assert check_manifest(bundle) == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda b: (b / "a.tsv").write_text("x"), says("release.file_changed", file="a.tsv")),
        (lambda b: (b / "a.tsv").unlink(), says("release.file_missing", file="a.tsv")),
        (lambda b: (b / "c.tsv").write_text("x"), says("release.file_not_listed", file="c.tsv")),
        (lambda b: (b / NAME).unlink(), says("release.not_a_bundle")),
    ],
)
def test_a_changed_bundle_is_refused_by_the_name_of_the_file(bundle, change, sentence):
    change(bundle)
    with pytest.raises(ReleaseRefused, match=sentence):
        check_manifest(bundle)
