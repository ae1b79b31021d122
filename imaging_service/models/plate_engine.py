"""An engine on the plate of a run, with any numbers of an assay: what `calibrate` tries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from imaging_service.errors import ModelRefused
from imaging_service.jobs.pixels.scan import camera_field
from imaging_service.jobs.records import Calibration, RunRecord
from imaging_service.models.fields import TracedField
from imaging_service.store import plates
from plate_maps import Well
from segmentation import Field, Segmenter
from segmentation.engines import model_folder
from segmentation.engines.motornet.engine import MotorNetSegmenter
from segmentation.field import Labels
from segmentation.sizes import Sizes

PROBABILITY = "neurite_probability"
Numbers = tuple[tuple[str, float], ...]
Segment = Callable[[Numbers], Mapping[str, Labels]]


class PlateEngine:
    """An engine with the thresholds of a run's plate.

    They are the run's own where engine, weights and probability are; else they are fixed anew from
    the same fields, as a run with these numbers would do.
    """

    def __init__(self, engine: Any, record: RunRecord, calibration: Calibration) -> None:
        if not isinstance(getattr(engine, "sizes", None), Sizes):
            raise ModelRefused(
                f"engine {engine.name} takes no sizes, so there is nothing to calibrate"
            )
        self.engine, self.record, self.calibration = engine, record, calibration
        self._thresholds: dict[float | None, Mapping[str, float | None]] = {}

    def current(self) -> dict[str, float]:
        """The numbers that the engine has now."""
        numbers = {f.name: float(getattr(self.engine.sizes, f.name)) for f in fields(Sizes)}
        if isinstance(self.engine, MotorNetSegmenter):
            numbers[PROBABILITY] = self.engine.neurite_chance[0]
        return numbers

    def with_numbers(self, numbers: Numbers) -> Any:
        """The engine with numbers of an assay, its thresholds fixed."""
        given = dict(numbers)
        probability = given.pop(PROBABILITY, None)
        engine = replace(self.engine, sizes=replace(self.engine.sizes, **given))
        if probability is not None:
            engine = engine.with_neurites(probability)
        return engine.with_thresholds(self._fixed(engine, probability))

    def _fixed(self, engine: Any, probability: float | None) -> Mapping[str, float | None]:
        if probability not in self._thresholds:
            described, ran = engine.describe(), self.record.engine
            same = all(
                described.get(n) == ran.get(n)
                for n in ("engine", "checkpoint", "neurite_probability", "accuracy")
            )
            self._thresholds[probability] = (
                self.calibration.thresholds
                if same
                else engine.calibrate(self._fields()).describe()["thresholds"]
            )
        return self._thresholds[probability]

    def _fields(self) -> list[Field]:
        """The fields that the run's thresholds were fixed from, as "B02 field 1" in its record."""
        fields_of = []
        for named in self.calibration.fields:
            well, _, number = named.rpartition(" field ")
            pixels, roles, _ = plates.read_field(
                self.record.plate, Well.parse(well), int(number), 1
            )
            fields_of.append(self._corrected(pixels, roles))
        return fields_of

    def _corrected(self, pixels: Any, roles: tuple[str | None, ...]) -> Field:
        record = self.record
        raw = camera_field(pixels, roles, record.pixel_size_um, record.inputs.protocol)
        return self.calibration.illumination.correct(raw)

    def as_measured(self, truth: TracedField) -> TracedField:
        """A traced field with the illumination corrected, as the engine saw it in the run."""
        return replace(truth, field=self._corrected(truth.field.pixels, truth.field.roles))

    def segment(self, truth: TracedField) -> Segment:
        """Labels of a field by numbers; the network runs once."""
        if not isinstance(self.engine, MotorNetSegmenter):
            return lambda numbers: self.with_numbers(numbers).segment(truth.field).labels
        first = self.with_numbers(tuple(self.current().items()))
        # Numbers move no range of brightness, so that the network would answer the same.
        flows, logits = first.answer(truth.field)

        def labels(numbers: Numbers) -> Mapping[str, Labels]:
            answer: Mapping[str, Labels] = (
                self.with_numbers(numbers).label(truth.field, flows, logits).labels
            )
            return answer

        return labels


def checkpoint_of(engine: Segmenter) -> Mapping[str, Any]:
    """The weights as an engine describes them; empty without any."""
    described = engine.describe().get("checkpoint")
    return described if isinstance(described, dict) else {}


def learnt_from(engine: str) -> set[tuple[str, str]]:
    """(plate digest, well) that a laboratory's model learnt from; none for any other engine."""
    folder = Path(engine.partition(":")[2] or ".")
    folder = folder.parent if folder.name == model_folder.WEIGHTS else folder
    if not model_folder.is_model(folder):
        return set()
    return {
        (f["plate_digest"], f["well"])
        for f in model_folder.lineage(folder).get("split", {}).get("train", ())
    }
