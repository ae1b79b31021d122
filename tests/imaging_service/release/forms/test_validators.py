from __future__ import annotations

import io
import json
import shutil

import openpyxl
import pytest

from imaging_service.release.forms import validators
from imaging_service.release.forms.validators import validate


def verdicts(bundle):
    return {v.file: v.verdict for v in validate(bundle)}


@pytest.fixture(autouse=True)
def no_program(monkeypatch):
    """The program of another environment is asked in tests/exchange."""
    monkeypatch.setattr(validators.shutil, "which", lambda name: None)


@pytest.fixture
def forms(released, tmp_path):
    shutil.copytree(released.bundle / "forms", tmp_path / "forms")
    return tmp_path


def test_a_good_bundle_is_accepted_and_what_was_not_checked_is_said(forms):
    assert verdicts(forms) == {
        "ro-crate-metadata.json": "not_checked",
        "forms/rembi.json": "accepted",
        "forms/mifa.json": "accepted",
        "forms/mihcsme.xlsx": "accepted",
        "forms/amp_als_dataset.json": "accepted",
        "forms/bia/ro-crate-metadata.json": "not_checked",
        "forms/idr_study.tsv": "not_checked",
    }


def without_instrument(content):
    form = json.loads(content)
    del form["ImageAcquisition"]["imaging_instrument"]
    return json.dumps(form).encode()


def of_unknown_licence(content):
    return json.dumps(json.loads(content) | {"license": "CC-BY-NC-4.0"}).encode()


def without_a_sheet(content):
    book, out = openpyxl.load_workbook(io.BytesIO(content)), io.BytesIO()
    del book["StudyInformation"]
    book.save(out)
    return out.getvalue()


def with_a_number_as_text(content):
    return json.dumps(json.loads(content) | {"participant_count": "12"}).encode()


@pytest.mark.parametrize(
    ("file", "broken"),
    [
        ("forms/rembi.json", without_instrument),
        ("forms/mifa.json", of_unknown_licence),
        ("forms/mihcsme.xlsx", without_a_sheet),
        ("forms/amp_als_dataset.json", with_a_number_as_text),
    ],
)
def test_a_broken_form_is_refused(forms, file, broken):
    path = forms / file
    path.write_bytes(broken(path.read_bytes()))
    assert {f for f, verdict in verdicts(forms).items() if verdict == "refused"} == {file}


def test_a_validator_that_is_not_installed_claims_nothing(forms, monkeypatch):
    def missing(name):
        raise validators.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(validators.importlib.metadata, "version", missing)
    assert set(verdicts(forms).values()) == {"not_checked"}
