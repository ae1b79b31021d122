"""Variables are the nouns of what they hold, and the formatter decides the layout (CONTRIBUTING)."""

from __future__ import annotations

import ast
import re
from pathlib import Path

PACKAGES = ("plate_maps", "phenotypes", "segmentation", "imaging_service", "napari_plugin")
NOT_NOUNS = {"found", "own", "wide", "at", "beside"}


def variables(tree: ast.AST) -> set[str]:
    """Names of variables, arguments and fields; methods may be prepositions: `curve.at(hour)`."""
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    return names | {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}


def test_what_is_looked_for():
    source = "class A:\n    wide: int\n    def at(self, beside): found, x = own\n"
    assert variables(ast.parse(source)) & NOT_NOUNS == {"wide", "beside", "found", "own"}


def test_variables_are_nouns(repository):
    others = {
        str(path.relative_to(repository)): sorted(names)
        for package in PACKAGES
        for path in (repository / package).rglob("*.py")
        if (names := variables(ast.parse(path.read_text(encoding="utf-8"))) & NOT_NOUNS)
    }
    assert others == {}


def test_the_formatter_decides_the_layout_of_all_but_tables_of_columns(repository):
    skipped = [
        str(path.relative_to(repository))
        for package in (*PACKAGES, "tests", "benchmarks")
        for path in (repository / package).rglob("*.py")
        if re.search(r"#\s*fmt: ?(skip|off)", path.read_text(encoding="utf-8"))
    ]
    assert {Path(name).parent.as_posix() for name in skipped} == {"phenotypes/columns"}
