"""Engines and their weights over HTTP."""

from __future__ import annotations

from segmentation.engines.weights import (
    CELLPOSE_MODELS,
    MOTORNET,
    MOTORNET_FIGURES,
    MOTORNET_SHA256,
)
from tests.imaging_service.conftest import Served
from tests.imaging_service.models.drawn_models import write_model
from tests.messages import states


def test_weights_have_their_licence_digest_and_figures(site):
    answer = site.get("/engines")
    assert answer.status_code == 200
    shipped, *others = answer.json()
    assert shipped == {
        "engine": "motornet",
        "licence": MOTORNET.licence,
        "training_data": MOTORNET.training_data,
        "origin": MOTORNET.origin,
        "sha256": MOTORNET_SHA256,
        "shipped": True,
        "here": True,
        "figures": dict(MOTORNET_FIGURES),
    }
    assert [m["engine"] for m in others] == [f"cellpose:{name}" for name in CELLPOSE_MODELS]
    assert {(m["shipped"], len(m["figures"])) for m in others} == {(False, 0)}


def test_the_page_of_models_leads_to_them(site):
    assert 'href="/engines"' in site.get("/models").text


def test_the_laboratory_s_own_models_have_decision_figures_and_lineage(data_folder):
    served = Served(data_folder, "", data_folder.data_dir)
    page = served.get("/models").text
    assert states("pages.no_own_model", page)
    root = data_folder.data_dir / "scans" / "models"
    write_model(root / "assay-1", {"promoted": False, "reasons": ["it <b>forgot</b>"]})
    write_model(root / "assay-2", {})
    listed = [(m["name"], m["status"]) for m in served.get("/engines/own").json()]
    assert listed == [("assay-1", "refused"), ("assay-2", "promoted")]
    page = served.get("/models").text
    own = page[page.index('id="own"') :].split("</section>")[0]
    assert own.count("0.902 (0.880 … 0.921)") == 2
    assert "it &lt;b&gt;forgot&lt;/b&gt;" in own
    assert "by Ada on 2026-05-04" in own
    assert 'href="/engines/own"' in own


def test_models_of_another_laboratory_are_not_listed(two_labs):
    root = two_labs.settings.project_root("als") / "scans" / "models"
    write_model(root / "assay-1")
    seen = {
        caller: len(two_labs.ask(caller, "GET", "/engines/own").json())
        for caller in ("viewer", "other viewer")
    }
    assert seen == {"viewer": 1, "other viewer": 0}
