from __future__ import annotations

import shutil

import pytest

from imaging_service.jobs.parallel.engine import _engine, load_engine
from imaging_service.protocol import parse_protocol
from segmentation.engines.weights import WeightsError, motornet_path
from segmentation.sizes import Sizes
from tests.messages import says


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
    from imaging_service.jobs.parallel import engine

    given = {}
    monkeypatch.setattr(
        engine, "load_segmenter", lambda name, **more: given.update(more, name=name)
    )
    load_engine(protocol(checkpoint_sha256="a" * 64), "motornet:x", "cpu")
    assert (given["name"], given["device"], given["sha256"]) == ("motornet:x", "cpu", "a" * 64)
    given.clear()
    load_engine(protocol(), "motornet:x", "cpu")
    assert "sha256" not in given
    load_engine(protocol(), "motornet:x", "cpu", {"checkpoint": {"sha256": "b" * 64}})
    assert given["sha256"] == "b" * 64


def test_a_checkpoint_that_changed_after_the_submission_is_refused(tmp_path):
    path = tmp_path / "lab.safetensors"
    shutil.copyfile(motornet_path(), path)
    submitted = load_engine(protocol(), f"motornet:{path}", "cpu").describe()
    with path.open("ab") as stream:
        stream.write(b" ")
    _engine.cache_clear()
    with pytest.raises(WeightsError, match=says("weights.pinned")):
        load_engine(protocol(), f"motornet:{path}", "cpu", submitted)


@pytest.mark.parametrize("name", ["magic", "classical:big"])
def test_an_engine_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match=name.partition(":")[0]):
        load_engine(protocol(), name, "cpu")


@pytest.mark.parametrize(
    ("key", "value"), [("neurite_probability", 0.4), ("accuracy", "high")], ids=["chance", "high"]
)
def test_settings_of_motornet_reach_it_and_are_refused_for_others(monkeypatch, key, value):
    from imaging_service.jobs.parallel import engine

    with pytest.raises(ValueError, match=says("engine.of_motornet", key=key)):
        load_engine(protocol(**{key: value}), "classical", "cpu")
    given = {}
    monkeypatch.setattr(engine, "load_segmenter", lambda name, **more: given.update(more))
    load_engine(protocol(**{key: value}), "motornet:x", "cpu")
    assert given[key] == value
    given.clear()
    load_engine(protocol(), "motornet:x", "cpu")
    assert key not in given
