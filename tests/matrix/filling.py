"""What was measured beside what must hold: one cell per disturbance, level, engine and group."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from phenotypes.columns.column import Column
from phenotypes.columns.disturbances import (
    GROUPS,
    Disturbance,
    Group,
    disturbance,
    expected,
    groups_of,
    published,
)
from phenotypes.columns.known_faults import known_fault
from tests.matrix.plates import DRAWN, Either
from tests.matrix.runs import Result, run

# Engines that are measured; the registry's others are in WITHOUT, with the reason.
ENGINES = ("classical", "motornet")
WITHOUT = {"cellpose": "needs a GPU and weights that are not shipped"}

State = Literal["holds", "follows the truth", "moves", "withheld", "fails", "not measured"]


@dataclass(frozen=True)
class Cell:
    """A cell of the matrix. `column` is the worst of the group, `change` how far it is off.

    `worst` is that distance over the tolerance: above 1 it fails. `relative` says that the change
    is a share of what was expected. `fault` is the known fault that marks the cell.
    """

    disturbance: str
    level: float
    engine: str
    group: str
    state: State
    column: str = ""
    change: float | None = None
    relative: bool = False
    worst: float = 0.0
    fault: str = ""
    why: str = ""

    @property
    def as_marked(self) -> bool:
        """A cell fails if, and only if, it is marked as a known fault."""
        return (self.state == "fails") == bool(self.fault)

    @property
    def text(self) -> str:
        """The change in a few characters."""
        if self.state == "not measured":
            return ""
        if self.change is None:
            return "null" if self.column else "–"
        if self.relative:
            return f"{100 * self.change:+.0f}%" if self.change < 3 else f"×{1 + self.change:.3g}"
        return f"{self.change:+.2f}" if abs(self.change) < 10 else f"{self.change:+.3g}"


@dataclass(frozen=True)
class _Judged:
    state: State
    column: str
    change: float | None
    relative: bool
    worst: float
    why: str


@cache
def measured(plate: Either, engine: str) -> Result:
    """A plate's result; plates that several disturbances are compared with are run once."""
    return run(plate, engine)


def fill(name: str, levels: Iterable[float], engine: str) -> Iterator[Cell]:
    """Draw and measure a disturbance at some levels, and judge each group of columns."""
    for level in levels:
        before, after = (measured(plate, engine) for plate in DRAWN[name](level))
        yield from judge(disturbance(name), level, engine, before, after)


def judge(
    row: Disturbance, level: float, engine: str, before: Result, after: Result
) -> Iterator[Cell]:
    """The cells of one disturbance at one level."""
    columns: dict[str, list[_Judged]] = {group.name: [] for group in GROUPS}
    for column in published():
        (group,) = groups_of(column)
        one = _column(row, group, column, before, after)
        if one is not None:
            columns[group.name].append(one)
    order: tuple[State, ...] = ("withheld", "moves", "holds", "follows the truth", "fails")
    for name, judged in columns.items():
        if not judged:
            yield Cell(row.name, level, engine, name, "not measured")
            continue
        worst = max(judged, key=lambda j: (order.index(j.state), j.worst))
        yield Cell(
            row.name,
            level,
            engine,
            name,
            worst.state,
            worst.column,
            worst.change,
            worst.relative,
            worst.worst,
            known_fault(row.name, level, engine, name),
            worst.why,
        )


def _rule(group: Group, after: Result) -> str:
    """The documented rule by which a column of this group is null, if there is one."""
    drawn = after.truth.get("fewest")
    if drawn is not None and drawn < 20:
        return "fewer than 20 cells"
    if group.name == "colocalisation" and (after.values["well.granules_per_neuron"] or 0) < 0.7:
        return "no granules"
    crossed = group.name == "neurites of a neuron" and "attribution_conflict" in after.words
    return "attribution_conflict" if crossed else ""


def _column(
    row: Disturbance, group: Group, column: Column, before: Result, after: Result
) -> _Judged | None:
    name, expectation = f"{column.level}.{column.name}", expected(row, column, after.px)
    verdict = expectation.verdict
    if verdict == "not measured":
        return None
    now, was = after.values[name], before.values[name]
    if now is None and (rule := _rule(group, after)) and was is not None:
        return _Judged("withheld", name, None, False, 0.0, rule)
    if now is None:
        if was is None and verdict != "withheld":
            return None
        if was is None and before.px <= after.px and column.coarsest_pixel_um is not None:
            return None
        said = re.search(expectation.words, after.words) if expectation.words else True
        may = verdict in ("withheld", "unmoved or withheld") or expectation.words
        if may and said:
            return _Judged("withheld", name, None, False, 0.0, expectation.words)
        if was is None:
            return None
        why = "withheld without a word" if verdict != "unmoved" else "withheld"
        return _Judged("fails", name, None, False, float("inf"), why)
    if verdict == "withheld":
        return _Judged("fails", name, None, False, float("inf"), "not withheld")
    if was is None:
        return None
    true_now, true_was = after.truth.get(name), before.truth.get(name)
    known = true_now is not None and true_was is not None
    relative = group.share > 0
    if verdict == "moves" and not (known and expectation.follows_truth):
        relative = relative and group.share * abs(was) > group.within
        change = now / was - 1 if relative else now - was
        return _Judged("moves", name, change, relative, 0.0, expectation.reason)
    target = was
    if known:
        target = was * true_now / true_was if relative and true_was else was + true_now - true_was
    worst = abs(now - target) / (expectation.slack * max(group.tolerance(target), 1e-9))
    # A share of next to nothing says nothing.
    relative = relative and group.share * abs(target) > group.within
    change = now / target - 1 if relative else now - target
    why = "beside the undisturbed plate"
    # Against the truth only where the undisturbed plate was true: a fault counts once.
    if group.accuracy is not None and known:
        allowed = Group("", (), *group.accuracy)
        of_truth = abs(now - true_now) / (
            expectation.slack * max(allowed.tolerance(true_now), 1e-9)
        )
        sound = abs(was - true_was) <= max(allowed.tolerance(true_was), 1e-9)
        if (sound or row.name.startswith("nothing")) and of_truth > worst:
            worst, why = of_truth, "beside the truth"
            change = now / true_now - 1 if relative and true_now else now - true_now
    state: State = "holds" if worst <= 1 else "fails"
    if state == "holds" and verdict == "moves":
        state = "follows the truth"
    return _Judged(state, name, change, relative, worst, why)
