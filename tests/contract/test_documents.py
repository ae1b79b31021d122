from __future__ import annotations

import json
import tomllib

import pytest

import imaging_service

NOTEBOOKS = ("client", "plate", "reviewing", "screen")


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
