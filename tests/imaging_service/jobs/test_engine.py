from __future__ import annotations

import pytest

from imaging_service.jobs.engine import load_engine
from imaging_service.protocol import parse_protocol
from segmentation.sizes import Sizes


def protocol(**more):
    return parse_protocol(
        {"name": "p", "channels": {"dna": 1}, "segmentation": {"engine": "classical", **more}}, "p"
    )


def test_the_engine_gets_the_protocol_s_sizes():
    engine = load_engine(
        protocol(
            nucleus_diameter_um=9, min_nucleus_area_um2=12, neurite_width_um=2, max_soma_reach_um=8
        ),
        "classical",
        "cpu",
    )
    assert engine.sizes == Sizes(
        nucleus_diameter_um=9, min_nucleus_area_um2=12, neurite_width_um=2, max_soma_reach_um=8
    )


def test_without_a_word_the_sizes_are_the_defaults():
    assert load_engine(protocol(), "classical", "cpu").sizes == Sizes()


def test_it_is_loaded_once_a_process_for_equal_settings():
    assert load_engine(protocol(), "classical", "cpu") is load_engine(
        protocol(), "classical", "cpu"
    )
    assert load_engine(protocol(), "classical", "cpu") is not load_engine(
        protocol(nucleus_diameter_um=9), "classical", "cpu"
    )


def test_a_pinned_checkpoint_goes_to_the_engine(monkeypatch):
    from imaging_service.jobs import engine

    given = {}
    monkeypatch.setattr(
        engine, "load_segmenter", lambda name, **more: given.update(more, name=name)
    )
    load_engine(protocol(checkpoint_sha256="a" * 64), "motornet:x", "cpu")
    assert (given["name"], given["device"], given["sha256"]) == ("motornet:x", "cpu", "a" * 64)
    given.clear()
    load_engine(protocol(), "motornet:x", "cpu")
    assert "sha256" not in given


@pytest.mark.parametrize("name", ["magic", "classical:big"])
def test_an_engine_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match=name.partition(":")[0]):
        load_engine(protocol(), name, "cpu")
