from __future__ import annotations

import ast
import re
from pathlib import Path

import polars as pl
import pytest

from phenotypes.columns import dictionary
from phenotypes.columns.dictionary import conform
from phenotypes.columns.statuses import STATUSES, WellStatus, unknown_statuses


def test_every_status_column_has_an_enumeration_and_no_other_has():
    named = {(c.level, c.name) for c in dictionary.COLUMNS if re.search(r"(^|_)status$", c.name)}
    assert named == set(STATUSES)


@pytest.mark.parametrize(
    "place", sorted(set(STATUSES) - {("quality", "status"), ("response", "status")})
)
def test_the_dictionary_lists_what_the_enumeration_has(place):
    level, name = place
    meaning = dictionary.columns(level)[name].meaning
    listed = {s.value for s in STATUSES[place] if re.search(rf"\b{s.value}\b", meaning)}
    assert listed == {s.value for s in STATUSES[place]}


def test_a_status_that_is_in_no_enumeration_is_found():
    table = pl.DataFrame({"status": ["ok", "flat", "fine", None], "well": ["A01"] * 4})
    assert unknown_statuses(table, "response") == {"status": ["fine"]}
    assert unknown_statuses(table.head(2), "response") == {}
    assert unknown_statuses(table, "cell") == {}


def test_tables_of_an_analysed_plate_hold_known_statuses_only(analysed):
    for level, name in (
        ("well", "wells"),
        ("response", "responses"),
        ("check", "checks"),
        ("quality", "quality"),
    ):
        path = analysed / f"{name}.parquet"
        assert path.is_file(), name
        table = pl.read_parquet(path)
        assert table["status"].null_count() == 0
        assert unknown_statuses(table, level) == {}


REPOSITORY = Path(__file__).parents[3]
# What sets and reads the statuses of tables. Elsewhere in the service a status is a Literal of a
# record or a row of the database, which the type checker holds.
ROOMS = (
    "phenotypes/films",
    "phenotypes/plates",
    "phenotypes/screens",
    "phenotypes/statistics",
    "imaging_service/jobs/review",
    "imaging_service/screens",
    "imaging_service/web",
)


def literal_statuses(source):
    """(line, text) of each status that is written as text, but for members of an enumeration."""
    known = {status.value for enumeration in STATUSES.values() for status in enumeration}
    tree = ast.parse(source)
    defined = {
        id(node)
        for body in ast.walk(tree)
        if isinstance(body, ast.ClassDef) and [ast.unparse(b) for b in body.bases] == ["Status"]
        for node in ast.walk(body)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in known and id(node) not in defined
    ]


def test_a_literal_status_is_seen_and_a_member_or_a_word_in_a_sentence_is_not():
    assert literal_statuses('row = {"status": "ok" if fine else "flat"}') == [
        (1, "ok"),
        (1, "flat"),
    ]
    assert literal_statuses('done = pl.col("status") == "done"') == [(1, "done")]
    assert literal_statuses('x = ResponseStatus.OK\ny = "all is ok"') == []
    assert literal_statuses('class Mine(Status):\n    OK = "ok"') == []


@pytest.mark.parametrize("room", ROOMS)
def test_product_code_writes_statuses_as_members_of_their_enumeration(room):
    modules = sorted((REPOSITORY / room).rglob("*.py"))
    assert modules
    literals = {
        str(module.relative_to(REPOSITORY)): listed
        for module in modules
        if (listed := literal_statuses(module.read_text(encoding="utf-8")))
    }
    assert not literals, "use the members of phenotypes.columns.statuses"


def test_a_member_in_a_table_is_plain_text():
    """Not an enumeration of Polars, which Parquet would keep and CSV would not."""
    rows = [{"well": "A01", "status": WellStatus.DONE}, {"well": "A02", "status": None}]
    plain = conform(pl.DataFrame(rows), "well")
    member = pl.Series("status", [WellStatus.DONE, None])
    given = conform(pl.DataFrame({"well": ["A01", "A02"]}).with_columns(member), "well")
    assert plain.schema["status"] == given.schema["status"] == pl.String
    assert plain.equals(given)
    assert type(plain["status"][0]) is str
    assert repr(WellStatus.DONE) == "'done'"


@pytest.mark.parametrize("place", STATUSES)
def test_the_methods_tell_every_status_in_plain_words(place):
    """`docs/methods.md` names each status as code, where it says what it means."""
    told = set(re.findall(r"`(\w+)`", (REPOSITORY / "docs/methods.md").read_text(encoding="utf-8")))
    assert {s.value for s in STATUSES[place]} - told == set()
