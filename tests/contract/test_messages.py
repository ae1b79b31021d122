"""A sentence that a test expects stands once, in the table of `tests/messages.py`.

Tests assert codes and values. A text is prose where it has a blank and a word of three small
letters: "B04, B05" and "1.07 ×" are values, and what holds `<` or `&` is the structure of a page.
As a whole, or as a beginning, only a sentence of four words is refused: "no image" may be a value,
and "map.csv, row 4" a place.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.messages import SAYS, says, states

TESTS = Path(__file__).parents[1]
SENTENCE = re.compile(r"([A-Za-z]+ ){3}[A-Za-z]+")
COMPARING = {"startswith", "endswith", "count", "contains", "search", "match", "fullmatch"}


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


def literal(node):
    """What a text says, with a digit for each value that is filled in; empty for other nodes."""
    if isinstance(node, ast.JoinedStr):
        return "".join(literal(part) or "0" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def is_prose(text):
    pieces = text.split()
    return len(pieces) > 1 and not re.search("[<&]", text) and bool(re.search("[a-z]{3}", text))


def texts(node):
    """The texts of an expression; what is given to a call is not asserted."""
    if isinstance(node, ast.Call):
        return
    if text := literal(node):
        yield text
    else:
        for part in ast.iter_child_nodes(node):
            yield from texts(part)


def asserts_prose(node):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        compared = node.args[:1] if node.func.attr in COMPARING else []
        return any(SENTENCE.search(t) for part in compared for t in texts(part))
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
        sides = (node.left, *node.comparators)
        return any(SENTENCE.search(t) for side in sides for t in texts(side))
    if isinstance(node, ast.Compare):  # in, not in
        return is_prose(literal(node.left))
    return False


def asserted_prose(tree):
    """Lines of assertions, and of the filters that feed them, in which prose is written out."""
    for scope in ast.walk(tree):
        if isinstance(scope, ast.Assert):
            conditions = [scope.test]
        elif isinstance(scope, ast.comprehension):
            conditions = scope.ifs
        else:
            continue
        for condition in conditions:
            yield from (node.lineno for node in ast.walk(condition) if asserts_prose(node))


@pytest.mark.parametrize(
    "line",
    [
        'assert "fewer than 8 fields" in found.reasons[0]',
        'assert "no vehicle" not in row["reason"]',
        'assert f"well {name} is empty" in answer.text, name',
        'assert any("line L2" in f for f in findings)',
        'assert x == 1 and "column 12" in row["reason"]',
        'kept = [f for f in findings if "on line" in f.message]',
        'assert outcome.reason == "the image of the channel is missing"',
        'assert (status, reason) == ("failed", f"{field} was not used for calibration")',
        'assert problems == ["map.csv, row 4: the cell line is missing"]',
        'assert reason.startswith("channel dna shows no cells")',
        'assert re.search("the tables are up to date", text)',
    ],
)
def test_prose_that_is_asserted_is_seen(line):
    assert list(asserted_prose(ast.parse(line))) == [1]


@pytest.mark.parametrize(
    "line",
    [
        'assert "no_vehicle" in row["reason"]',
        'assert "trophic" in found.flags',
        'assert "B04, B05" in sentence',
        'assert "1.07 ×" in row["reason"]',
        'assert "300 nM (– to –)" in html',
        "assert \"<tr style='opacity:0.65'>\" in html",
        'assert "&lt;img src=x&gt;" in html',
        "assert words in row",
        'assert row["status"] == "no image"',
        'assert place == "map.xlsx, sheet line, row 7"',
        'assert problem.startswith("map.csv, row 4: ")',
        'assert parse("a text that is read") == 4',
        'assert states("film.frame_copied", row["warnings"])',
        'by = model.split()[-1] if "stratified by" in model else None',
    ],
)
def test_codes_values_and_structure_are_not_prose(line):
    assert list(asserted_prose(ast.parse(line))) == []


def test_no_assertion_writes_out_prose():
    lines = {str(path): seen for path, tree in sources() if (seen := list(asserted_prose(tree)))}
    assert lines == {}, "assert a code or a value, or name the sentence in tests/messages.py"


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
        and call.func.id in {"says", "states"}
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


def test_a_text_states_its_sentence_with_these_values_only():
    text = "map.csv: 3 of 20 chunks are there (B03)"
    assert states("stores.chunks_counted", text, there=3, of=20)
    assert not states("stores.chunks_counted", text, there=4, of=20)
