from __future__ import annotations

import json
import shutil

import pytest

from imaging_service.errors import ReleaseRefused
from imaging_service.release.contents.manifest import write_manifest
from imaging_service.release.verify import verify_bundle
from tests.messages import says


@pytest.fixture
def copy(released, tmp_path):
    return shutil.copytree(released.bundle, tmp_path / "copy")


def test_a_bundle_is_verified_with_and_without_its_release(released):
    verified = verify_bundle(released.bundle)
    assert (verified.k, verified.searched) == (6, False)
    assert verified.files == released.written.files - 1
    assert verify_bundle(released.bundle, released.folder).searched


def test_what_was_changed_afterwards_is_refused(released, copy):
    (copy / "wells.tsv").write_text("x")
    with pytest.raises(ReleaseRefused, match=says("release.file_changed", file="wells.tsv")):
        verify_bundle(copy)


def test_a_secret_that_was_put_in_with_a_new_manifest_is_found(released, copy):
    with (copy / "README.md").open("a") as file:
        file.write("questions to mkeller\n")
    write_manifest(copy)
    with pytest.raises(
        ReleaseRefused, match=says("release.secret_in_file", kind="operator", text="mkeller")
    ):
        verify_bundle(copy, released.folder)


def test_a_form_that_a_validator_refuses_is_refused(copy):
    path = copy / "forms" / "amp_als_dataset.json"
    path.write_text(json.dumps({"title": "x"}))
    write_manifest(copy)
    with pytest.raises(ReleaseRefused, match=says("release.validators_refuse")):
        verify_bundle(copy)


def test_a_damaged_table_is_refused(copy):
    path = copy / "tables" / "doses.parquet"
    path.write_bytes(path.read_bytes()[:100])
    write_manifest(copy)
    with pytest.raises(
        ReleaseRefused, match=says("release.unreadable", file="tables/doses.parquet")
    ):
        verify_bundle(copy)
