from __future__ import annotations

import numpy as np
import pytest

from segmentation import Field, Segmentation, load
from segmentation.engines import registry
from segmentation.engines.registry import Segmenter, available, segment_all
from tests.messages import says


def test_registry_refuses_by_name():
    with pytest.raises(ValueError, match=says("engine.unknown")):
        load("magic")
    with pytest.raises(ValueError, match=says("engine.no_models")):
        load("classical:big")
    with pytest.raises(RuntimeError, match=says("engine.cpu_only")):
        load("classical", device="cuda")
    with pytest.raises(ValueError, match=says("engine.unknown_device")):
        load("classical", device="tpu")


class Entry:
    """An engine of another package."""

    name = "foreign"

    @staticmethod
    def load():
        return lambda model, *, device, **options: (model, device, options)


def test_an_engine_of_another_package_is_known_and_gets_model_device_and_options(monkeypatch):
    monkeypatch.setattr(
        registry,
        "entry_points",
        lambda group: [Entry] if group == "motor_neuron.segmenters" else [],
    )
    assert available() == ("cellpose", "classical", "foreign", "motornet")
    assert load("foreign:big:2", device="cpu", sizes=3) == ("big:2", "cpu", {"sizes": 3})
    assert load("foreign") == ("", "auto", {})


def test_a_built_in_engine_keeps_the_protocol():
    assert isinstance(load("classical"), Segmenter)
    assert load("classical").name == "classical"


class Slow:
    """Says which field it saw."""

    name = "slow"

    def segment(self, field, *, seed=0):
        return Segmentation({"nuclei": field.pixels[0].astype(np.int32)}, self.name)


class Batched(Slow):
    def segment_all(self, fields):
        for field in fields:
            yield Segmentation({}, f"batch of {int(field.pixels.max())}")


def test_many_fields_are_labelled_in_order_by_the_engine_s_own_way_if_it_has_one():
    fields = [Field(np.full((1, 2, 2), i, np.uint16), ("dna",), 0.5) for i in range(7)]
    assert [int(s.labels["nuclei"].max()) for s in segment_all(Slow(), fields)] == list(range(7))
    assert [s.engine for s in segment_all(Batched(), fields)] == [f"batch of {i}" for i in range(7)]


@pytest.mark.parametrize("name", ["classical", "motornet"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_threshold_that_finds_everything_or_nothing_is_refused(name, value):
    key = {"classical": "soma", "motornet": "neurite"}[name]
    with pytest.raises(ValueError, match=says("threshold.not_positive", key=key)):
        load(name, device="cpu").with_thresholds({key: value})
    assert load(name, device="cpu").with_thresholds({key: 5.0}).thresholds is not None
