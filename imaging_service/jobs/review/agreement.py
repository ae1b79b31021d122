"""Agreement of two reviewers, and of the engine with what both agree on.

These are the accuracy figures that a lab can show. Two reviewers are compared on independent
readings of one run (`review_log`), or on copies of its folder. Neither has seen what the other did:
where one corrects what the other left, that is not a second opinion.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import NotFound, NotReady, ScanError
from imaging_service.review.local import LocalRun
from imaging_service.review.neurites import NEURITES
from phenotypes.cells.skeleton import skeletonize
from segmentation.scoring.accuracy import Counts, LineCounts, line_counts, object_counts
from segmentation.scoring.consensus import beside_consensus, consensus, lines_beside_consensus

Labels = NDArray[np.int32]
IOU = 0.5
# Neurites are one mask, so their skeletons are compared: a pixel is right that lies so near a true
# one, as in the figures on accuracy.
LINE_PX = 3.0


@dataclass(frozen=True)
class FieldAgreement:
    """Agreement on one time point of a field.

    Objects of either side, those that match at IoU 0.5, and Dice of their pixels; both verdicts,
    None where there is none. Of neurites, pixels of the skeletons in place of objects: those of the
    first within 3 pixels of the second's match, and `lines` has both directions. `engine`: true
    positives, false positives and false negatives of the engine against the objects (of neurites:
    the lines) that both have; None without a second reviewer.
    """

    well: str
    field: int
    frame: int
    n_first: int
    n_second: int
    matched: int
    dice: float | None
    first: bool | None
    second: bool | None
    engine: tuple[float, float, float] | None = None
    lines: LineCounts | None = None


@dataclass(frozen=True)
class Agreement:
    """Agreement over all fields.

    F1 of objects (of neurites: of skeleton pixels within 3 pixels), mean Dice of pixels, Cohen's
    kappa of accepting (None where it is not defined), and the fields. `engine_f1` is the F1 of the
    engine against what two reviewers agree on; None without a second reviewer.
    """

    compartment: str
    f1: float | None
    dice: float | None
    kappa: float | None
    n_judged: int
    engine_f1: float | None
    fields: tuple[FieldAgreement, ...]


def reviewed(run: LocalRun) -> list[tuple[str, int, int]]:
    """(well, field, time point) that a reviewer corrected or judged, in order.

    The first time point of each such field is included.
    """
    judged = {
        (well, number, 1)
        for (well, number, track) in run.review.standing()
        if number is not None and track is None
    }
    return sorted(
        judged
        | {
            (w, n, f)
            for w, n in run.review.corrected()
            for f in (1, *run.review.corrected_frames(w, n))
        }
    )


def agreement(
    one: LocalRun, other: LocalRun | None = None, compartment: str = "nuclei"
) -> Agreement:
    """Compare two reviewers on what both reviewed, or the engine with the one reviewer.

    Raises ScanError where the two are of different runs, NotReady where nothing was reviewed.
    """
    if other is not None and one.record["run_id"] != other.record["run_id"]:
        raise ScanError(
            f"{one.root} and {other.root} are not of one run; give two readings, or two copies, of"
            " the same run"
        )
    seconds = None if other is None else set(reviewed(other))
    places = [p for p in reviewed(one) if seconds is None or p in seconds]
    if not places:
        raise NotReady(
            f"no field of {_named(one)} was reviewed"
            + ("" if other is None else f" in {_named(other)} as well")
        )
    fields = [_field(one, other, place, compartment) for place in places]
    lines = [f.lines for f in fields if f.lines is not None]
    f1 = (
        sum(lines, LineCounts(0, 0, 0, 0)).f1
        if lines
        else _sum(
            Counts(f.matched, f.n_first - f.matched, f.n_second - f.matched) for f in fields
        ).f1
    )
    engine = [Counts(*f.engine) for f in fields if f.engine is not None]
    dices = [f.dice for f in fields if f.dice is not None]
    judged = [(f.first, f.second) for f in fields if f.first is not None and f.second is not None]
    return Agreement(
        compartment,
        f1 if sum(f.n_first + f.n_second for f in fields) else None,
        float(np.mean(dices)) if dices else None,
        _kappa(judged),
        len(judged),
        _sum(engine).f1 if engine else None,
        tuple(fields),
    )


def as_json(result: Agreement) -> str:
    """The agreement as text for a JSON file."""
    return json.dumps(asdict(result), indent=1)


def _field(
    one: LocalRun, other: LocalRun | None, place: tuple[str, int, int], compartment: str
) -> FieldAgreement:
    well, number, frame = place
    base = one.engine_labels(well, number, frame)
    if compartment not in base:
        raise NotFound(f"the run has no labels of {compartment}; it has {', '.join(base)}")
    first = one.review.labels(base, well, number, frame=frame)[compartment]
    second = (
        base[compartment]
        if other is None
        else other.review.labels(base, well, number, frame=frame)[compartment]
    )
    area = int((first > 0).sum() + (second > 0).sum())
    dice = 2 * int(((first > 0) & (second > 0)).sum()) / area if area else None
    lines, engine = None, None
    if compartment == NEURITES:
        mine, theirs = skeletonize(first > 0), skeletonize(second > 0)
        lines = line_counts(theirs, mine, LINE_PX)
        numbers = lines.predicted, lines.true, lines.right
        if other is not None:
            drawn = skeletonize(base[compartment] > 0)
            engine = lines_beside_consensus(drawn, mine, theirs, LINE_PX)
    else:
        objects = object_counts(second, first, (IOU,))[IOU]
        tp = int(objects.tp)
        numbers = tp + int(objects.fp), tp + int(objects.fn), tp
        if other is not None:
            engine = beside_consensus(base[compartment], *consensus(first, second))
    return FieldAgreement(
        well,
        number,
        frame,
        *numbers,
        dice,
        _verdict(one, well, number),
        None if other is None else _verdict(other, well, number),
        None if engine is None else (engine.tp, engine.fp, engine.fn),
        lines,
    )


def _verdict(run: LocalRun, well: str, number: int) -> bool | None:
    verdict = run.review.standing().get((well, number, None))
    return None if verdict is None else verdict.accepted


def _named(run: LocalRun) -> str:
    return f"reading {run.reading} of {run.root}" if run.reading else str(run.root)


def _sum(counts: Iterable[Counts]) -> Counts:
    return sum(counts, Counts(0, 0, 0))


def _kappa(judged: list[tuple[bool, bool]]) -> float | None:
    """Cohen's kappa; None without verdicts, or where all verdicts are the same.

    In the second case chance agrees as well.
    """
    if not judged or len({said for pair in judged for said in pair}) < 2:
        return None
    from sklearn.metrics import cohen_kappa_score

    a, b = zip(*judged, strict=True)
    return float(cohen_kappa_score(a, b))
