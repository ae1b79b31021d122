"""`calibrate`: the few numbers of an assay from traced fields, and how good they make the engine.

The numbers are chosen on all wells. How good they are is measured on wells that they were not
chosen on: each well in turn is left out, the numbers are chosen on the others, and the well is
measured with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from imaging_service.errors import EngineError, ModelRefused, StoreError
from imaging_service.jobs.parallel.engine import load_engine
from imaging_service.jobs.records import Calibration, RunFolder, RunRecord, load
from imaging_service.jobs.review.reviewed import reviewed_fields
from imaging_service.models.fields import TracedField, traced_fields
from imaging_service.models.plate_engine import (
    PROBABILITY,
    Numbers,
    PlateEngine,
    Segment,
    checkpoint_of,
    learnt_from,
)
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
from plate_maps.registry import Line
from segmentation import Segmenter

# Values that are tried, in the order in which the numbers are chosen.
CANDIDATES: dict[str, tuple[float, ...]] = {
    "neurite_contrast": (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    PROBABILITY: (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    "min_nucleus_area_um2": (10.0, 15.0, 20.0, 30.0, 40.0, 60.0),
}
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
    learnt = learnt_from(name)
    traced, segment_of = [], []
    current: dict[str, float] = {}
    for run, record in zip(runs, records, strict=True):
        given, left_out = traced_fields(reviewed_fields(run, lines, registry), lines)
        notes += left_out
        plate = PlateEngine(loaded, record, load(Calibration, RunFolder(run.root).calibration))
        current = plate.current()
        for one in given:
            if (one.record.plate_digest, one.record.well) in learnt:
                notes.append(f"{one.name}: the model learnt from this well")
                continue
            traced.append(plate.as_measured(one))
            segment_of.append(plate.segment(traced[-1]))
    wells = list(dict.fromkeys(_well(t) for t in traced))
    if len(wells) < 2:
        why = "".join(f"\n  - {note}" for note in notes)
        raise ModelRefused(
            f"{len(traced)} traced fields of {len(wells)} well(s) cannot be cross-validated;"
            f" correct or accept fields of at least two wells{why}"
        )
    scores = _Scores(traced, segment_of)
    start: Numbers = tuple((n, current[n]) for n in CANDIDATES if n in current)
    crossed = cross_validated(scores, start, [_well(t) for t in traced])
    everywhere = list(range(len(traced)))
    chosen = choose(scores, start, everywhere)
    before = figures(scores.of(start))
    after = figures(crossed)
    if chosen != start and _total(crossed) >= _total(scores.of(start)):
        notes.append(
            "other numbers do not improve wells that they were not chosen on: none was changed"
        )
        chosen, after = start, before
    moved = {n: v for (n, v), old in zip(chosen, start, strict=True) if (n, v) != old}
    changes: dict[str, Any] = {"engine": name, **moved}
    part = replace(protocol.segmentation, **changes)
    weights = str(checkpoint_of(loaded).get("sha256", ""))
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


def cross_validated(
    scores: _Scores, start: Numbers, wells: Sequence[tuple[str, str]]
) -> list[FieldScore]:
    """Scores of every field by numbers that were chosen on all other wells, in order."""
    numbers_of = {}
    for well in dict.fromkeys(wells):
        others = [i for i, w in enumerate(wells) if w != well]
        numbers_of[well] = choose(scores, start, others)
    return [scores.of(numbers_of[well])[i] for i, well in enumerate(wells)]


def _neurite_loss(scores: Sequence[FieldScore]) -> float | None:
    """Where neurites are (1 - F1) and how long they are (median error) weigh the same."""
    f1, error = neurite_f1(scores), length_error(scores)
    return None if f1 is None or error is None else 1 - f1 + error


def _nuclei_loss(scores: Sequence[FieldScore]) -> float | None:
    ap = nuclei_ap(scores)
    return None if ap is None else 1 - ap


_LOSS: dict[str, Loss] = {
    "neurite_contrast": _neurite_loss,
    PROBABILITY: _neurite_loss,
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
    # As `LocalRun` has it: the folder may have been moved, or fetched, since.
    return replace(load(RunRecord, folder.record), plate=run.plate)


def _loaded(protocol: AssayProtocol, name: str, device: str) -> Segmenter:
    try:
        return load_engine(protocol, name, device)
    except (ValueError, RuntimeError, ImportError) as error:
        raise EngineError(f"engine {name}: {error}") from error


def _well(truth: TracedField) -> tuple[str, str]:
    return truth.record.plate_digest, truth.record.well


def _numbers(figure: Figure) -> tuple[float, ...]:
    values: Iterable[float | None] = (figure.value, figure.low, figure.high)
    return tuple(float(f"{v:.4g}") for v in values if v is not None)
