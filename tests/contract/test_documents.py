from __future__ import annotations

import json
import re
import shlex
import tomllib

import pytest

import imaging_service
from tests.commands import parsed

NOTEBOOKS = ("client", "plate", "reviewing", "screen")
PAGES = ("README", *(f"docs/{n}" for n in ("administrator", "arrival", "federation", "inputs")))
PAGES += tuple(f"docs/{n}" for n in ("own_model", "release", "review", "running"))
# A line of a block of code, after variables that are set for it; remarks follow two spaces.
COMMAND = re.compile(r"^ {4,}(?:[A-Z_]+=\S+ )*imaging-service (.*?)(?:  .*|; do.*| > .*)?$", re.M)


def test_each_notebook_is_known(repository):
    names = sorted(path.stem for path in (repository / "docs" / "notebooks").glob("*.ipynb"))
    assert names == list(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_are_kept_without_outputs(repository, name):
    text = (repository / "docs" / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
    code = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert code
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)


def test_the_version_is_written_once(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "imaging_service/__init__.py"
    citation = (repository / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert [line for line in citation if line.startswith("version:")] == []
    heading = f"## {imaging_service.__version__}"
    assert heading in (repository / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_is_one_of_the_program(repository, page, tmp_path, monkeypatch):
    """Its options and arguments are read as they stand; lines that end with … are left open."""
    text = (repository / f"{page}.md").read_text(encoding="utf-8").replace("\\\n", " ")
    monkeypatch.chdir(tmp_path)
    for name in ("lines.tsv", "batches.tsv", "compounds.tsv"):
        (tmp_path / name).touch()
    commands = [line for line in COMMAND.findall(text) if not line.endswith(" …")]
    assert commands
    for line in commands:
        parsed(shlex.split(line, comments=True))
