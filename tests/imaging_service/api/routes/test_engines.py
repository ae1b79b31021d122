"""Engines and their weights over HTTP."""

from __future__ import annotations

from segmentation.engines.weights import (
    CELLPOSE_MODELS,
    MOTORNET,
    MOTORNET_FIGURES,
    MOTORNET_SHA256,
)


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
