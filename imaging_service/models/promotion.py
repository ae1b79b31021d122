"""`models promote`: a named person lets a model be used, unless a measurement speaks against it.

Refused, with every reason, where the frozen benchmark falls, where fields held out do not get
better, or where phenotypes move. A phenotype may move towards what reviewers traced: the shipped
network can be wrong on an assay, which is why a laboratory trains at all. An EC50 has no traced
truth, so it may not move.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imaging_service.errors import ModelRefused
from imaging_service.files import only_one, write_bytes
from imaging_service.models.card import write_card
from imaging_service.models.scores import ERRORS
from imaging_service.models.shifts import MARGINS, Shift
from segmentation.engines import model_folder
from segmentation.engines.weights import sha256_of

# A figure of the frozen benchmark may fall by this much.
MOST_FORGOTTEN = 0.01
# So may an accuracy on the fields held out, while their accuracy as a whole gets better.
_MOST_LOST = 0.01
_ACCURACIES = ("neurite_f1", "nuclei_ap", "soma_ap")


@dataclass(frozen=True)
class Decision:
    """What was decided, by whom, and why not; `plates` are whole plates that were compared."""

    promoted: bool
    by: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]


def promote(
    folder: Path,
    by: str,
    plates: Mapping[str, Sequence[Shift]] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Decision:
    """Decide, and write the decision into the model's folder.

    `plates` are shifts over whole plates, by plate (`whole_plates`). Raises ModelRefused for a
    folder that is not a model, weights that are not those of its lineage, or an empty name.
    """
    if not by.strip():
        raise ModelRefused("a promotion needs the name of who decides: --by NAME")
    with only_one(folder):
        content = checked_lineage(folder)
        reasons, notes = judged(content, plates or {})
        decision = Decision(not reasons, by.strip(), tuple(reasons), tuple(notes))
        written = {
            "promoted": decision.promoted,
            "by": decision.by,
            "time": now().isoformat(),
            "weights_sha256": content["weights_sha256"],
            "reasons": reasons,
            "notes": notes,
            "plates": {n: [s.described() for s in shifts] for n, shifts in (plates or {}).items()},
        }
        write_bytes(
            folder / model_folder.DECISION,
            json.dumps(written, indent=1, ensure_ascii=False).encode(),
        )
        write_card(folder)
    return decision


def checked_lineage(folder: Path) -> dict[str, Any]:
    """A model's lineage, if its weights are those. Raises ModelRefused."""
    if not model_folder.is_model(folder):
        raise ModelRefused(
            f"{folder} is not a model; give the --out folder of `imaging-service models train`"
        )
    try:
        content = model_folder.lineage(folder)
    except ValueError as error:
        raise ModelRefused(str(error)) from error
    digest = sha256_of(folder / model_folder.WEIGHTS)
    if digest != content["weights_sha256"]:
        raise ModelRefused(
            f"{folder / model_folder.WEIGHTS} has sha256 {digest}, but its lineage is that of"
            f" {content['weights_sha256']}; it is another file or was damaged"
        )
    if "evidence" not in content:
        raise ModelRefused(f"{folder}: {model_folder.LINEAGE} holds no evidence; train it again")
    return content


def judged(
    content: Mapping[str, Any], plates: Mapping[str, Sequence[Shift]]
) -> tuple[list[str], list[str]]:
    """Reasons against a promotion, and notes on what could not be compared."""
    before, after = content["evidence"]["before"], content["evidence"]["after"]
    reasons = [
        f"frozen benchmark: {name} falls from {value:.3f} to {after['benchmark'][name]:.3f}, more"
        f" than {MOST_FORGOTTEN}"
        for name, value in before["benchmark"].items()
        if value - after["benchmark"][name] > MOST_FORGOTTEN
    ]
    level = content["split"]["level"]
    if not after["accuracy"] > before["accuracy"]:
        reasons.append(
            f"held out by {level}: accuracy does not improve, from {before['accuracy']:.3f} to"
            f" {after['accuracy']:.3f}"
        )
    for name in _ACCURACIES:
        if name not in before["held_out"]:
            continue
        old, new = (part["held_out"][name]["value"] for part in (before, after))
        if old - new > _MOST_LOST:
            reasons.append(f"held out by {level}: {name} falls from {old:.3f} to {new:.3f}")
    notes = []
    if not _surely_better(before["held_out"], after["held_out"]):
        notes.append(
            f"held out by {level}: the gain in accuracy, from {before['accuracy']:.3f} to"
            f" {after['accuracy']:.3f}, lies within the 95 % intervals of the figures, so it may be"
            " chance; trace more fields to know"
        )
    if level == "well":
        notes.append(
            "all traced fields are of one plate: no plate was held out, only wells; trace fields of"
            " a second plate to know how the model does on it"
        )
    on_fields = [_shift(s) for s in content["evidence"]["phenotypes"]]
    towards = {s.phenotype for s in on_fields if s.towards_truth}
    for place, shifts in (("traced fields held out", on_fields), *plates.items()):
        for one in shifts:
            if one.bias is None:
                notes.append(f"{place}: {one.phenotype} was not compared: {one.reason}")
            elif one.moved and one.phenotype in towards:
                notes.append(f"{place}: {words(one)}, towards what reviewers traced")
            elif one.moved:
                reasons.append(f"{place}: {words(one)}")
    if not plates:
        notes.append(
            "log10_ec50 was not compared: name the run of a held-out plate with --on to have it"
            " analysed by both networks"
        )
    return reasons, notes


def _surely_better(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a figure of the fields held out is better than before by its whole interval."""
    higher = [(before[n]["value"], after[n]["low"]) for n in _ACCURACIES if n in before]
    lower = [(after[n]["high"], before[n]["value"]) for n in ERRORS if n in before]
    return any(
        worse is not None and better is not None and worse < better
        for worse, better in (*higher, *lower)
    )


def words(one: Shift) -> str:
    """A shift as a sentence."""
    margin = MARGINS[one.phenotype][0]
    return (
        f"{one.phenotype} moves by {one.bias:+.3g} {one.unit} (95 % of {one.n} between"
        f" {one.low:+.3g} and {one.high:+.3g}; at most {margin:g})"
    )


def _shift(described: Mapping[str, Any]) -> Shift:
    return Shift(**{k: v for k, v in described.items() if k not in ("margin", "moved")})
