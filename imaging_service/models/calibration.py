"""`calibrate`: the few numbers of an assay from traced fields, and how good they make the engine.

The numbers are chosen on all wells. How good they are is measured on wells that they were not
chosen on: each well in turn is left out, the numbers are chosen on the others, and the well is
measured with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from imaging_service.errors import EngineError, ModelRefused, StoreError
from imaging_service.jobs.engine import load_engine
from imaging_service.jobs.records import Calibration, RunFolder, RunRecord, load
from imaging_service.jobs.review.reviewed import reviewed_fields
from imaging_service.jobs.scan import camera_field
from imaging_service.models.fields import TracedField, traced_fields
from imaging_service.models.scores import (
    FieldScore,
    Figure,
    figures,
    length_error,
    neurite_f1,
    nuclei_ap,
    score,
)
from imaging_service.protocol import Accuracy, AssayProtocol
from imaging_service.review.local import LocalRun
from imaging_service.store import plates
from plate_maps import Well
from plate_maps.registry import Line
from segmentation import Segmenter
from segmentation.engines import model_folder
from segmentation.engines.motornet.engine import MotorNetSegmenter
from segmentation.field import Labels

# Values that are tried, in the order in which the numbers are chosen.
CANDIDATES: dict[str, tuple[float, ...]] = {
    "neurite_probability": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    "min_nucleus_area_um2": (10.0, 15.0, 20.0, 30.0, 40.0, 60.0),
}
_OF_MOTORNET = ("neurite_probability",)
Numbers = tuple[tuple[str, float], ...]
Segment = Callable[[Numbers], Mapping[str, Labels]]
Loss = Callable[[Sequence[FieldScore]], float | None]


@dataclass(frozen=True)
class Fitted:
    """A protocol with the chosen numbers and their accuracy, and what it was before.

    `chosen` holds the numbers that differ from the protocol of the runs; `figures` are those of
    wells that the numbers were not chosen on, `before` those of the numbers as they were.
    """

    protocol: AssayProtocol
    chosen: Mapping[str, float]
    figures: Mapping[str, Figure]
    before: Mapping[str, Figure]
    notes: tuple[str, ...]


def calibrate_assay(
    runs: Sequence[LocalRun],
    lines: Mapping[str, Line] | None = None,
    *,
    registry: str = "",
    engine: str = "",
    device: str = "auto",
) -> Fitted:
    """Fit the numbers of an assay to the corrected fields of its runs.

    Parameters
    ----------
    runs
        Of one protocol.
    lines, registry
        The line registry and its name; without it consent is unknown.
    engine
        The runs' own if not given.

    Raises
    ------
    ModelRefused
        Runs of several protocols, or traced fields of fewer than two wells.
    StoreError
        The record of a run was deleted.
    """
    records = [_record(run) for run in runs]
    protocol = records[0].inputs.protocol
    if len({r.protocol_digest for r in records}) > 1:
        named = ", ".join(dict.fromkeys(r.inputs.protocol.name for r in records))
        raise ModelRefused(f"the runs have different protocols ({named}); give runs of one assay")
    name = engine or records[0].inputs.engine
    if not engine and len({r.inputs.engine for r in records}) > 1:
        raise ModelRefused("the runs have different engines; say which with --engine")
    loaded = _loaded(protocol, name, device)
    notes: list[str] = []
    learnt = _learnt(name)
    traced, segment_of = [], []
    for run, record in zip(runs, records, strict=True):
        given, left_out = traced_fields(reviewed_fields(run, lines, registry), lines)
        notes += left_out
        calibrated = _calibrated(loaded, record, load(Calibration, RunFolder(run.root).calibration))
        for one in given:
            if (one.record.plate_digest, one.record.well) in learnt:
                notes.append(f"{one.name}: the model learnt from this well")
                continue
            truth = _as_measured(one, run, record)
            traced.append(truth)
            segment_of.append(_segment(calibrated, truth))
    wells = list(dict.fromkeys(_well(t) for t in traced))
    if len(wells) < 2:
        why = "".join(f"\n  - {note}" for note in notes)
        raise ModelRefused(
            f"{len(traced)} traced fields of {len(wells)} well(s) cannot be cross-validated;"
            f" correct or accept fields of at least two wells{why}"
        )
    scores = _Scores(traced, segment_of)
    names = [n for n in CANDIDATES if n not in _OF_MOTORNET or _is_motornet(loaded)]
    start: Numbers = tuple((n, _current(protocol, loaded, n)) for n in names)
    places = [_well(t) for t in traced]
    crossed = []
    for well in wells:
        others = [i for i, w in enumerate(places) if w != well]
        numbers = choose(scores, start, others)
        crossed += [scores.of(numbers)[i] for i, w in enumerate(places) if w == well]
    everywhere = list(range(len(traced)))
    chosen = choose(scores, start, everywhere)
    before = figures(scores.of(start))
    after = figures(crossed)
    if chosen != start and _total(crossed) >= _total(scores.of(start)):
        notes.append(
            "other numbers are no better on wells that they were not chosen on: none moved"
        )
        chosen, after = start, before
    moved = {n: v for (n, v), old in zip(chosen, start, strict=True) if (n, v) != old}
    part = replace(protocol.segmentation, engine=name, **moved)
    weights = str(_checkpoint(loaded).get("sha256", ""))
    if weights and ":" in name:
        part = replace(part, checkpoint_sha256=weights)
    accuracy = Accuracy(
        engine=name,
        weights_sha256=weights,
        settings_sha256=part.settings_digest(),
        fields=len(traced),
        wells=len(wells),
        runs=tuple(dict.fromkeys(r.run_id for r in records)),
        figures={n: _numbers(f) for n, f in after.items()},
    )
    fitted = protocol.model_copy(update={"segmentation": part, "accuracy": accuracy})
    return Fitted(fitted, moved, after, before, tuple(notes))


class _Scores:
    """Scores of every traced field by the numbers it was segmented with, each computed once."""

    def __init__(self, traced: Sequence[TracedField], segment: Sequence[Segment]) -> None:
        self.traced, self.segment = traced, segment
        self.known: dict[Numbers, list[FieldScore]] = {}

    def of(self, numbers: Numbers) -> list[FieldScore]:
        if numbers not in self.known:
            self.known[numbers] = [
                score(truth, labels(numbers))
                for truth, labels in zip(self.traced, self.segment, strict=True)
            ]
        return self.known[numbers]


def choose(scores: _Scores, start: Numbers, fields: Sequence[int]) -> Numbers:
    """The numbers that suit some fields best, chosen one after the other.

    A number for which nothing was traced, or that changes nothing, stays.
    """
    numbers = start
    for name, values in CANDIDATES.items():
        if name not in dict(start):
            continue
        loss = _LOSS[name]
        best = loss([scores.of(numbers)[i] for i in fields])
        for value in values:
            tried = tuple((n, value if n == name else v) for n, v in numbers)
            new = loss([scores.of(tried)[i] for i in fields])
            if new is not None and best is not None and new < best:
                best, numbers = new, tried
    return numbers


def _neurite_loss(scores: Sequence[FieldScore]) -> float | None:
    """Where neurites are (1 - F1) and how long they are (median error) weigh the same."""
    f1, error = neurite_f1(scores), length_error(scores)
    return None if f1 is None or error is None else 1 - f1 + error


def _nuclei_loss(scores: Sequence[FieldScore]) -> float | None:
    ap = nuclei_ap(scores)
    return None if ap is None else 1 - ap


_LOSS: dict[str, Loss] = {
    "neurite_probability": _neurite_loss,
    "min_nucleus_area_um2": _nuclei_loss,
}


def _total(scores: Sequence[FieldScore]) -> float:
    return sum(loss for f in (_neurite_loss, _nuclei_loss) if (loss := f(scores)) is not None)


def _record(run: LocalRun) -> RunRecord:
    folder = RunFolder(run.root)
    if not folder.record.is_file() or not folder.calibration.is_file():
        raise StoreError(
            f"{run.root / 'work'} was deleted: without the run's record and calibration its fields"
            " cannot be segmented as they were; analyse the plate again"
        )
    return load(RunRecord, folder.record)


def _loaded(protocol: AssayProtocol, name: str, device: str) -> Segmenter:
    try:
        return load_engine(protocol, name, device)
    except (ValueError, RuntimeError, ImportError) as error:
        raise EngineError(f"engine {name}: {error}") from error


def _calibrated(engine: Segmenter, record: RunRecord, calibration: Calibration) -> Segmenter:
    """The engine with the thresholds of a run's plate.

    Those of the run where it was the same engine; else from the same fields.
    """
    same = record.engine["engine"] == engine.name and record.engine.get(
        "checkpoint"
    ) == engine.describe().get("checkpoint")
    if same:
        return engine.with_thresholds(calibration.thresholds)
    fields = []
    for named in calibration.fields:
        well, _, number = named.rpartition(" field ")
        pixels, roles, _ = plates.read_field(record.plate, Well.parse(well), int(number), 1)
        raw = camera_field(pixels, roles, record.pixel_size_um, record.inputs.protocol)
        fields.append(calibration.illumination.correct(raw))
    return engine.calibrate(fields)


def _as_measured(truth: TracedField, run: LocalRun, record: RunRecord) -> TracedField:
    """A traced field with the illumination corrected, as the engine saw it in the run."""
    calibration = load(Calibration, RunFolder(run.root).calibration)
    raw = camera_field(
        truth.field.pixels, truth.field.roles, record.pixel_size_um, record.inputs.protocol
    )
    return replace(truth, field=calibration.illumination.correct(raw))


def _segment(engine: Segmenter, truth: TracedField) -> Segment:
    """Labels of a field by numbers; the network runs once."""
    if not isinstance(engine, MotorNetSegmenter):
        return lambda numbers: _sized(engine, dict(numbers)).segment(truth.field).labels
    flows, logits = engine.answer(truth.field)

    def labels(numbers: Numbers) -> Mapping[str, Labels]:
        given = dict(numbers)
        sized = _sized(engine, given).with_neurites(given["neurite_probability"])
        return sized.label(truth.field, flows, logits).labels

    return labels


def _sized(engine: Any, numbers: Mapping[str, float]) -> Any:
    """The engine with another least area of nuclei. Raises ModelRefused where it has no sizes."""
    if not hasattr(engine, "sizes"):
        raise ModelRefused(f"engine {engine.name} takes no sizes, so there is nothing to calibrate")
    least = numbers["min_nucleus_area_um2"]
    return replace(engine, sizes=replace(engine.sizes, min_nucleus_area_um2=least))


def _is_motornet(engine: Segmenter) -> bool:
    return isinstance(engine, MotorNetSegmenter)


def _current(protocol: AssayProtocol, engine: Segmenter, name: str) -> float:
    if name in _OF_MOTORNET and isinstance(engine, MotorNetSegmenter):
        return engine.neurite_chance[0]
    return float(getattr(protocol.segmentation, name))


def _checkpoint(engine: Segmenter) -> Mapping[str, Any]:
    described = engine.describe().get("checkpoint")
    return described if isinstance(described, dict) else {}


def _learnt(engine: str) -> set[tuple[str, str]]:
    """(plate digest, well) that a model of the laboratory learnt from."""
    folder = Path(engine.partition(":")[2] or ".")
    folder = folder.parent if folder.name == model_folder.WEIGHTS else folder
    if not model_folder.is_model(folder):
        return set()
    return {
        (f["plate_digest"], f["well"])
        for f in model_folder.lineage(folder).get("split", {}).get("train", ())
    }


def _well(truth: TracedField) -> tuple[str, str]:
    return truth.record.plate_digest, truth.record.well


def _numbers(figure: Figure) -> tuple[float, ...]:
    values: Iterable[float | None] = (figure.value, figure.low, figure.high)
    return tuple(float(f"{v:.4g}") for v in values if v is not None)
