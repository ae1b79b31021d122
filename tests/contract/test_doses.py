"""A dose in a sentence is written as a bench scientist would: 9.56 µM, never 9.56e-06 mol/L."""

from __future__ import annotations

import ast
import re

PACKAGES = ("plate_maps", "phenotypes", "segmentation", "imaging_service", "napari_plugin")
# The doses of a fit by hand are in the unit that its caller has.
ALLOWED = {
    "phenotypes/statistics/curves/hill.py": ["self.ec50"],
    # The reviewer's own `format_dose`, which must not need the science packages.
    "napari_plugin/views/wells.py": ["molar / 1e-12", "molar / size"],
}
_DOSE = re.compile(r"dose|molar|ec50|lost\b", re.IGNORECASE)
# Digits for people; a file's number has ten, and its unit in a column of its own.
_SHORT = re.compile(r"[+]?([.][0-5])?[ge]")


def bare_doses(tree: ast.AST) -> list[str]:
    """Doses that are formatted as numbers, and units that follow a formatted number."""
    found = []
    for text in (node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)):
        for part, after in zip(text.values, [*text.values[1:], None], strict=True):
            if not isinstance(part, ast.FormattedValue) or part.format_spec is None:
                continue
            spec = "".join(str(getattr(v, "value", "")) for v in part.format_spec.values)
            unit = str(getattr(after, "value", "")) if isinstance(after, ast.Constant) else ""
            names = ast.unparse(part.value)
            if _SHORT.fullmatch(spec) and (_DOSE.search(names) or re.match(r" (M|mol/L)\b", unit)):
                found.append(names)
    return found


def test_what_is_looked_for():
    source = (
        'f"{dose:.3g} at {x:.3g} mol/L, {y:.2g} mM, {10**end:g} M; {dose:.10g} {format_dose(d)}"'
    )
    assert bare_doses(ast.parse(source)) == ["dose", "x", "10 ** end"]


def test_no_dose_is_written_as_a_bare_number(repository):
    bare = {}
    for package in PACKAGES:
        for path in sorted((repository / package).rglob("*.py")):
            name = str(path.relative_to(repository))
            doses = bare_doses(ast.parse(path.read_text(encoding="utf-8")))
            if doses != ALLOWED.get(name, []):
                bare[name] = doses
    assert bare == {}, "write it by plate_maps.conditions.format_dose"


def test_every_dose_of_a_page_goes_through_the_filter(repository):
    templates = sorted((repository / "imaging_service/web/templates").rglob("*.html"))
    shown = [
        (path.name, expression)
        for path in templates
        for expression in re.findall(r"\{\{([^}]*_molar[^}]*)\}\}", path.read_text("utf-8"))
    ]
    assert len(shown) > 10
    assert [s for s in shown if "|dose" not in s[1]] == []
