"""A sentence that a refusal says is asserted by its name in one table, `tests/messages.py`."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.messages import SAYS, says

TESTS = Path(__file__).parents[1]


def sources():
    for path in sorted(TESTS.rglob("*.py")):
        yield path.relative_to(TESTS), ast.parse(path.read_text(encoding="utf-8"))


def written_out(tree):
    """Lines on which a `match=` is written as text: there, or in the parameters of its test."""
    for test in ast.walk(tree):
        matches = [
            k.value
            for call in ast.walk(test)
            if isinstance(test, ast.FunctionDef) and isinstance(call, ast.Call)
            for k in call.keywords
            if k.arg == "match"
        ]
        names = {m.id for m in matches if isinstance(m, ast.Name)}
        for text in matches:
            if isinstance(text, ast.Constant | ast.JoinedStr):
                yield text.lineno
        for decorator in getattr(test, "decorator_list", []):
            if not isinstance(decorator, ast.Call) or len(decorator.args) < 2:
                continue
            given, rows = decorator.args[:2]
            columns = [getattr(e, "value", "") for e in getattr(given, "elts", [given])]
            for row in getattr(rows, "elts", []):
                cells = row.elts if isinstance(row, ast.Tuple) else [row]
                for column, cell in zip(columns, cells, strict=False):
                    if column in names and isinstance(cell, ast.Constant | ast.JoinedStr):
                        yield cell.lineno


def test_a_sentence_that_is_written_out_is_seen():
    parameters = '@pytest.mark.parametrize(("x", "said"), [(1, "no"), (2, says("a.b"))])\n'
    within = "def test(x, said):\n    with pytest.raises(ValueError, match={}):\n        f(x)\n"
    assert list(written_out(ast.parse(within.format('"no"')))) == [2]
    assert list(written_out(ast.parse(within.format('f"{x} no"')))) == [2]
    assert list(written_out(ast.parse(within.format('says("a.b")')))) == []
    assert list(written_out(ast.parse(parameters + within.format("said")))) == [1]


def test_no_test_writes_out_what_a_refusal_says():
    lines = {str(path): found for path, tree in sources() if (found := list(written_out(tree)))}
    assert lines == {}, "give the sentence a name in tests/messages.py, and use says(name)"


def test_every_name_is_used_and_no_two_names_have_one_text():
    used = {
        call.args[0].value
        for path, tree in sources()
        if path.name != "messages.py"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "says"
        and isinstance(call.args[0], ast.Constant)
    }
    assert sorted(used - {"a.b"}) == sorted(SAYS)
    assert [text for text, n in Counter(SAYS.values()).items() if n > 1] == []
    for text in SAYS.values():
        re.compile(re.sub(r"\{[a-z]+\}", "", text))


def test_parts_are_filled_in_as_they_are():
    name = "map.no_block"
    assert re.search(
        says(name, place="map (1).csv, row 2", row="A"),
        "map (1).csv, row 2: row A belongs to no block",
    )
    with pytest.raises(KeyError) as missing:
        says(name, place="x")
    assert "{row}" in str(missing.value)
    with pytest.raises(KeyError) as strange:
        says(name, place="x", row="A", well="B03")
    assert "well" in str(strange.value)
