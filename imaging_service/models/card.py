"""A model's card: what people want to know of it, made from its lineage and its decision."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imaging_service.errors import ModelRefused
from imaging_service.files import write_bytes
from segmentation.engines import model_folder
from segmentation.scoring.figures import NAMES, figure_value


def card_of(folder: Path) -> str:
    """The card of a model's folder, made from its files. Raises ModelRefused."""
    try:
        content = model_folder.lineage(folder)
    except ValueError as error:
        raise ModelRefused(str(error)) from error
    decision = folder / model_folder.DECISION
    decided = json.loads(decision.read_text(encoding="utf-8")) if decision.is_file() else None
    return card(content, decided)


def write_card(folder: Path) -> None:
    """Write the card of a model's folder anew."""
    write_bytes(folder / model_folder.CARD, card_of(folder).encode())


def card(content: Mapping[str, Any], decided: Mapping[str, Any] | None) -> str:
    """The card as Markdown."""
    split, evidence = content["split"], content["evidence"]
    lines = [
        f"# {content['name']}",
        "",
        *_decision(decided),
        f"- Weights: sha256 `{content['weights_sha256']}`",
        f"- Licence: {content['licence']}",
        f"- Began from: {content['parent']['name']}, sha256 `{content['parent']['sha256']}`",
        f"- Trained on: {content['training_data']}",
        f"- Training: best of {content['plan']['steps']} steps is step {content['best_step']}"
        f" ({content['ended']}); seed {content['plan']['seed']}, on {content['device']}, version"
        f" {content['software_version']}",
        f"- Split by {split['level']}: {places(split['train'])} to learn from;"
        f" {places(split['held_out'])} held out",
        "- Consent: " + "; ".join(f"{line}: {text}" for line, text in content["consent"].items()),
        *(f"- Left out: {reason}" for reason in content["left_out"]),
        "",
        "| On the fields held out | before | after (95 % interval over wells) |",
        "|---|---|---|",
    ]
    before, after = evidence["before"], evidence["after"]
    for name, words in NAMES.items():
        if name in after["held_out"]:
            old, new = before["held_out"][name], after["held_out"][name]
            lines.append(f"| {words} | {figure_value(name, old['value'])} | {figure(name, new)} |")
    lines += ["", "| Frozen benchmark (drawings) | before | after |", "|---|---|---|"]
    lines += [
        f"| {name} | {value:.3f} | {after['benchmark'][name]:.3f} |"
        for name, value in before["benchmark"].items()
    ]
    lines += [
        "",
        "| Phenotype, new against old | bias | 95 % of the differences | at most |",
        "|---|---|---|---|",
    ]
    compared = {"fields held out": evidence["phenotypes"]} | (decided or {}).get("plates", {})
    lines += [_row(one, place) for place, shifts in compared.items() for one in shifts]
    return "\n".join(lines) + "\n"


def _decision(decided: Mapping[str, Any] | None) -> list[str]:
    if decided is None:
        return ["- **Not promoted**: no one has decided yet"]
    word = "Promoted" if decided["promoted"] else "**Refused**, asked for"
    return [
        f"- {word} by {decided['by']} on {decided['time'][:10]}",
        *(f"  - against it: {reason}" for reason in decided["reasons"]),
        *(f"  - note: {note}" for note in decided["notes"]),
    ]


def _row(one: Mapping[str, Any], place: str) -> str:
    """A shift as a row of the card's table."""
    if one["bias"] is None:
        agreement = f"not compared: {one['reason']} | "
    else:
        bias, low, high = one["bias"], one["low"], one["high"]
        agreement = f"{bias:+.3g} {one['unit']} | {low:+.3g} … {high:+.3g}"
    return f"| {one['phenotype']}, {place} | {agreement} | {one['margin']:g} |"


def places(fields: list[Mapping[str, Any]]) -> str:
    """How many fields of which plates.

    >>> places([{"plate_name": "P1"}, {"plate_name": "P1"}, {"plate_name": "P2"}])
    '2 fields of P1, 1 field of P2'
    """
    plates = Counter(f["plate_name"] for f in fields)
    return ", ".join(
        f"{n} field{'' if n == 1 else 's'} of {plate}" for plate, n in sorted(plates.items())
    )


def figure(name: str, known: Mapping[str, Any]) -> str:
    """A figure with its interval, or why it has none.

    >>> figure("nuclei_ap", {"value": 0.9, "low": 0.85, "high": 0.93, "wells": 4})
    '0.900 (0.850 … 0.930)'
    """
    value = figure_value(name, known["value"])
    if known["low"] is None:
        return f"{value} (no interval: {known['wells']} well(s))"
    return f"{value} ({figure_value(name, known['low'])} … {figure_value(name, known['high'])})"
