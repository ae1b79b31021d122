from __future__ import annotations

import pytest

from imaging_service.incoming.s3 import S3Path, place
from imaging_service.models.listing import ModelStatus, lab_models
from tests.imaging_service.models.drawn_models import SHA256, write_model


@pytest.fixture
def root(tmp_path):
    return tmp_path.resolve() / "scans"


@pytest.mark.parametrize(
    ("decision", "status"),
    [
        (None, ModelStatus.UNDECIDED),
        ({}, ModelStatus.PROMOTED),
        ({"promoted": False, "reasons": ["it forgot"]}, ModelStatus.REFUSED),
        ({"weights_sha256": "other"}, ModelStatus.OTHER_WEIGHTS),
    ],
)
def test_a_model_is_listed_with_the_decision_on_it(root, decision, status):
    write_model(root / "models" / "assay-1", decision)
    (model,) = lab_models([root], {})
    assert (model.name, model.status, model.runs) == ("assay-1", status, 0)
    assert model.reasons == (["it forgot"] if status is ModelStatus.REFUSED else [])
    assert model.decided_by == ("Ada" if decision is not None else "")


def test_figures_and_lineage_are_those_of_its_files(root):
    folder = write_model(root / "models" / "assay-1")
    (model,) = lab_models([root], {f"motornet:{folder}": 2, "classical": 9})
    (one,) = model.figures
    assert (one.name, one.before, one.after) == (
        "neurites, F1 at 3 px",
        "0.871",
        "0.902 (0.880 … 0.921)",
    )
    assert [(f.before, f.after) for f in model.benchmark] == [("0.950", "0.950")]
    assert (model.engine, model.sha256, model.runs) == (f"motornet:{folder}", SHA256, 2)
    assert (model.parent, model.learnt_from, model.held_out) == (
        "motornet",
        "1 field of P1",
        "1 field of P2",
    )
    assert (model.consent, model.left_out) == ({"L1": "GRU"}, ["P9: NMDS"])


def test_a_model_elsewhere_under_a_root_is_listed_once_a_run_used_it(root):
    folder = write_model(root / "plates" / "deep" / "assay-2")
    assert lab_models([root], {}) == []
    by_file = {f"motornet:{folder}/weights.safetensors": 1, f"motornet:{folder}": 3}
    assert [(m.name, m.runs) for m in lab_models([root], by_file)] == [("assay-2", 4)]


def test_a_model_outside_of_the_roots_is_not_listed(root, tmp_path):
    outside = write_model(tmp_path / "secret")
    (root / "models").mkdir(parents=True)
    (root / "models" / "link").symlink_to(outside)
    assert lab_models([root], {f"motornet:{outside}": 1, "motornet:": 1}) == []


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_damaged_model_hides_no_other(root, content):
    write_model(root / "models" / "good", {})
    bad = write_model(root / "models" / "bad")
    (bad / "lineage.json").write_text(content)
    damaged, whole = lab_models([root], {})
    assert (damaged.name, damaged.status, len(damaged.reasons)) == (
        "bad",
        ModelStatus.DAMAGED,
        1,
    )
    assert (whole.name, whole.status) == ("good", ModelStatus.PROMOTED)


def test_a_root_on_s3_is_not_asked_for_models_which_are_read_from_a_disk(root, monkeypatch):
    """Where S3 is away the list, and the page of models, would be too."""
    asked = []
    monkeypatch.setattr(S3Path, "_pages", lambda self: asked.append(str(self)) or iter([["x"]]))
    monkeypatch.setattr(S3Path, "is_file", lambda self: asked.append(str(self)) or True)
    write_model(root / "models" / "good", {})
    there = place("s3://plates/alpha")
    listed = lab_models([there, root], {"motornet:s3://plates/alpha/models/m": 1})
    assert [m.name for m in listed] == ["good"]
    assert asked == []
