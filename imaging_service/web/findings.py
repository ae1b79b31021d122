"""What a run found, what it refused, and how far its masks can be trusted, in sentences.

The report's first screen and the run's page say the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imaging_service.web.templating import number
from phenotypes.columns.status_words import remark_words, status_words
from phenotypes.columns.statuses import CheckStatus, ResponseStatus, WellStatus
from plate_maps.conditions import format_dose
from segmentation.scoring.figures import figure_words

Row = Mapping[str, Any]
_SHOWN = 5
# Response rows that are answers: a curve, its absence, or an EC50 beyond the tested doses.
_ORDER = {
    ResponseStatus.OK: 0,
    ResponseStatus.BELOW_TESTED_RANGE: 1,
    ResponseStatus.ABOVE_TESTED_RANGE: 1,
    ResponseStatus.NOT_DETERMINED: 2,
    ResponseStatus.NOT_MONOTONE: 2,
    ResponseStatus.LACK_OF_FIT: 2,
    ResponseStatus.FLAT: 3,
}
ANSWERED = frozenset(_ORDER)
_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Finding:
    """One response in a sentence, with its row."""

    sentence: str
    row: Row


@dataclass(frozen=True)
class Findings:
    """The first screen: responses by evidence, refusals with their number, trust, warnings.

    `unmoved` says what it means that no row responds; it is empty where one does.
    """

    headline: str
    unmoved: str
    strongest: tuple[Finding, ...]
    responding: int
    rows: int
    flat: int
    refused: tuple[tuple[str, int, str], ...]
    wells_lost: tuple[tuple[str, int, str], ...]
    trust: str
    measured: bool
    warnings: tuple[str, ...]


def by_evidence(responses: Iterable[Row]) -> list[Row]:
    """Rows of the response table, the strongest evidence first.

    Curves with an EC50 come first, then responses without one, then flat rows, then refusals;
    within each by q, and then by how many of its own half-intervals the effect is away from 0.
    """
    return sorted(responses, key=_evidence)


def _evidence(row: Row) -> tuple[int, float, float, str, str, str]:
    q = row["q_value"] if row["q_value"] is not None else 2.0
    away = 0.0
    if None not in (row["effect"], row["effect_low"], row["effect_high"]):
        away = abs(row["effect"]) / max(row["effect_high"] - row["effect_low"], 1e-12)
    names = (row["phenotype"], row["compound"], row["line"])
    return (_ORDER.get(row["status"], 4), q, -away, *names)


def responds(row: Row) -> bool:
    """Whether a row of the response table is a response: neither flat nor refused, q < 0.05."""
    return (
        row["status"] in ANSWERED
        and row["status"] != ResponseStatus.FLAT
        and row["q_value"] is not None
        and row["q_value"] < _SIGNIFICANT
    )


def findings(
    responses: Sequence[Row],
    wells: Sequence[Row],
    checks: Sequence[Row],
    accuracy: Mapping[str, Any] | None,
) -> Findings:
    """Say what a run found; tables as rows, `accuracy` as in the run's record."""
    ranked = by_evidence(responses)
    responding = [r for r in ranked if responds(r)]
    flat = sum(r["status"] == ResponseStatus.FLAT for r in responses)
    refused = [r for r in responses if r["status"] not in ANSWERED]
    measured, trust = _trust(accuracy)
    return Findings(
        _headline(len(responses), len(responding), flat, len(refused)),
        "" if responding else _unmoved(len(responses), len(refused)),
        tuple(Finding(sentence(r), r) for r in responding[:_SHOWN]),
        len(responding),
        len(responses),
        flat,
        _counted(refused),
        _counted(w for w in wells if w["status"] != WellStatus.DONE),
        trust,
        measured,
        tuple(
            f"{c['check'].replace('_', ' ')}, {c['subject']}: {remark_words(c['reason'])}"
            for c in checks
            if c["status"] == CheckStatus.WARNING
        ),
    )


def sentence(row: Row) -> str:
    """A response with its effect, interval and EC50, as one says it.

    >>> sentence({"line": "L1", "compound": "x", "phenotype": "live_density", "status": "ok",
    ...           "effect": -50.0, "effect_low": -60.0, "effect_high": -40.0, "unit": "%",
    ...           "ec50_molar": 1e-7, "ec50_low": 5e-8, "ec50_high": None, "q_value": 0.003})
    'x on L1: live_density falls by 50 (40 … 60) %, EC50 100 nM (50 nM … open), q 0.003'
    """
    effect, unit = row["effect"], row["unit"]
    if effect is None:
        return (
            f"{row['compound']} on {row['line']}: {row['phenotype']}, {status_words(row['status'])}"
        )
    low, high = row["effect_low"], row["effect_high"]
    verb = "rises" if effect > 0 else "falls"
    if low is None or high is None:
        # A response whose curve says nothing of the effect's error, as a step between two doses.
        moved = f"{verb} by {number(abs(effect))} (no interval) {unit}"
    # Where the interval reaches over 0, signs say more than "falls by".
    elif (low > 0) == (high > 0):
        ends = sorted((abs(low), abs(high)))
        if effect < 0 and unit.startswith("%"):
            # Nothing loses more than all of it, whatever the interval of a mean says.
            ends = [min(end, 100.0) for end in ends]
        moved = f"{verb} by {number(abs(effect))} ({number(ends[0])} … {number(ends[1])}) {unit}"
    else:
        moved = f"changes by {number(effect)} ({number(low)} … {number(high)}) {unit}"
    potency = ""
    if row["status"] == ResponseStatus.OK and row["ec50_molar"] is not None:
        low, high = (
            "open" if end is None else format_dose(end)
            for end in (row["ec50_low"], row["ec50_high"])
        )
        potency = f", EC50 {format_dose(row['ec50_molar'])} ({low} … {high})"
    elif row["status"] != ResponseStatus.OK:
        potency = f", no EC50: {status_words(row['status'])}"
    q = "" if row["q_value"] is None else f", q {number(row['q_value'], 2)}"
    return f"{row['compound']} on {row['line']}: {row['phenotype']} {moved}{potency}{q}"


def _headline(rows: int, responding: int, flat: int, refused: int) -> str:
    if not rows:
        return (
            "The plate map has no compound with doses, so there is no response to report: this run"
            " gives one row per well only."
        )
    return (
        f"Of {rows} line × compound × phenotype, {responding} respond (q < 0.05), {flat} are flat,"
        f" {refused} were refused, and {rows - responding - flat - refused} are undecided."
    )


def _unmoved(rows: int, refused: int) -> str:
    """What it means that no row responds: a refused row is not evidence about its compound."""
    if rows == refused:
        return "No compound could be tested: the reasons are below." if rows else ""
    return (
        "No compound that could be tested moved a phenotype by more than the wells vary (q < 0.05)."
    )


def _trust(accuracy: Mapping[str, Any] | None) -> tuple[bool, str]:
    if accuracy is None:
        return False, (
            "How well the masks fit on this assay was not noted by the version that made this run;"
            " look at the outlines before a number is used"
        )
    if accuracy["status"] != "measured":
        return False, (
            f"How well the masks fit on this assay is not known: {accuracy['reason']}. Look at the"
            " outlines before a number is used"
        )
    figures = "; ".join(figure_words(name, f) for name, f in accuracy["figures"].items())
    return True, (
        f"Measured on {accuracy['fields']} traced fields of {accuracy['wells']} wells of this"
        f" assay: {figures}"
    )


def _counted(rows: Iterable[Row]) -> tuple[tuple[str, int, str], ...]:
    """(status, number of rows, the reason of one of them), the most frequent first."""
    kept = list(rows)
    reasons: dict[str, str] = {}
    for row in kept:
        reasons.setdefault(row["status"], row["reason"])
    counts = Counter(row["status"] for row in kept)
    return tuple(
        (status, n, reasons[status])
        for status, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
