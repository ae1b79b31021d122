"""A screen that was ordered as a whole."""

from __future__ import annotations

import pytest

from imaging_service.errors import ScreenError
from imaging_service.screens.folder import plates_of, read_screen_table, settings_of
from imaging_service.screens.order import (
    OrderedRun,
    ScreenOrder,
    fit_order,
    gather,
    lay_out,
    read_order,
)
from imaging_service.screens.remarks import ScreenFile
from tests.imaging_service.written_runs import REGISTRY, three_runs
from tests.messages import says

SETTINGS = ScreenFile(
    name='als "β" 2026 🧠',
    healthy_lines=("S1-iso", "S2-iso"),
    effect_dose_molar={"drug (a) = β": 1e-6},
    effect_floor={"nc_log2_aggregate": 0.25},
    robust_curves=True,
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return three_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(autouse=True)
def short_report(monkeypatch):
    """Without its scripts, which take seconds to write; test_folder.py reads a whole one."""
    monkeypatch.setattr("imaging_service.screens.folder.render_screen", lambda content: "")


def order(*numbers, **more):
    runs = tuple(OrderedRun(run=f"{n:064x}") for n in numbers)
    known = {"project": "als", "settings": ScreenFile(name="als"), "runs": runs}
    return ScreenOrder(**(known | more))


def test_the_same_inputs_are_the_same_screen_and_any_other_input_is_another():
    one = order(1, 2)
    assert one.id == order(2, 1).id == ScreenOrder.model_validate_json(one.model_dump_json()).id
    others = [
        order(1),
        order(1, 3),
        order(1, 2, project="ftd"),
        order(1, 2, lines=REGISTRY),
        order(1, 2, batches="x"),
        order(1, 2, compounds="x"),
        order(1, 2, software_version="0.0.1"),
        order(1, 2, settings=ScreenFile(name="als", robust_curves=True)),
        order(1, 2, settings=ScreenFile(name="other")),
        order(1, 2, runs=(OrderedRun(run=f"{1:064x}"), OrderedRun(run=f"{2:064x}", revision=2))),
        order(1, 2, runs=(OrderedRun(run=f"{1:064x}"), OrderedRun(run=f"{2:064x}", lab="n"))),
    ]
    assert len({one.id, *(o.id for o in others)}) == len(others) + 1


def test_settings_and_registries_are_in_the_folder_as_they_were_ordered(tmp_path):
    ordered = order(1, settings=SETTINGS, lines=REGISTRY)
    lay_out(ordered, tmp_path / "s")
    assert settings_of(tmp_path / "s") == SETTINGS
    assert read_order(tmp_path / "s") == ordered
    assert (tmp_path / "s" / "lines.tsv").read_text() == REGISTRY
    assert not (tmp_path / "s" / "batches.tsv").exists()


def test_settings_that_no_screen_can_have_leave_no_folder(tmp_path):
    wrong = ScreenFile(name="x", effect_floor={"no_such_phenotype": 1.0})
    with pytest.raises(ScreenError, match=says("order.floor_of", phenotype="no_such_phenotype")):
        lay_out(order(1, settings=wrong), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_screen_without_an_order_says_so(tmp_path):
    with pytest.raises(ScreenError, match=says("order.unreadable")):
        read_order(tmp_path)


def test_an_ordered_screen_has_the_tables_of_one_that_was_put_together_by_hand(runs, tmp_path):
    ordered = order(1, 2, 3, lines=REGISTRY)
    for folder, numbers in (("s", (0, 1, 2)), ("t", (2, 0, 1))):
        lay_out(ordered, tmp_path / folder)
        for number in numbers:
            gather(tmp_path / folder, runs[number], ordered.runs[number])
        # A step that runs again after a kill.
        gather(tmp_path / folder, runs[0], ordered.runs[0])
        assert [p.run_id for p in plates_of(tmp_path / folder)] == [r.run for r in ordered.runs]
        assert fit_order(tmp_path / folder) == {"rows": 4, "hits": 1, "refitted": 4}
    for suffix in ("parquet", "csv"):
        tables = [(tmp_path / f / f"responses.{suffix}").read_bytes() for f in "st"]
        assert tables[0] == tables[1]


def test_rows_that_an_earlier_screen_has_are_not_fitted_again(runs, tmp_path):
    first, second = order(1, 2), order(1, 2, settings=ScreenFile(name="again"))
    for folder, ordered, earlier in (("s", first, None), ("t", second, tmp_path / "s")):
        lay_out(ordered, tmp_path / folder)
        for number in (0, 1):
            gather(tmp_path / folder, runs[number], ordered.runs[number])
        numbers = fit_order(tmp_path / folder, earlier)
        assert numbers["refitted"] == (4 if earlier is None else 0)
    tables = [read_screen_table(tmp_path / f, "responses") for f in "st"]
    assert tables[0].equals(tables[1])


def test_tables_of_another_revision_than_ordered_are_not_taken_in(runs, tmp_path):
    ordered = order(1, runs=(OrderedRun(run=f"{1:064x}", revision=3),))
    lay_out(ordered, tmp_path / "s")
    with pytest.raises(ScreenError, match=says("order.reviewed_since", revision="1", ordered="3")):
        gather(tmp_path / "s", runs[0], ordered.runs[0])
    assert plates_of(tmp_path / "s") == []
