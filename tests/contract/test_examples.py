"""Every public name has an example in its docstring, and the examples run."""

from __future__ import annotations

import doctest
import importlib
import shutil

import pytest

PACKAGES = ("plate_maps", "segmentation", "phenotypes", "imaging_service", "imaging_service.client")
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
# Without a docstring of their own: the package's docstring shows them.
CONSTANTS = {"COLUMNS", "COMPARTMENTS", "DEFAULT_ENGINE", "FORMATS", "ROLES", "__version__"}


def documented(package):
    """(Name, docstring) of a package and of each of its public names."""
    module = importlib.import_module(package)
    yield package, module.__doc__ or ""
    for name in module.__all__:
        if name in CONSTANTS:
            yield (
                f"{package}.{name}",
                "\n".join(line for line in module.__doc__.splitlines() if name in line),
            )
        else:
            yield f"{package}.{name}", getattr(module, name).__doc__ or ""


@pytest.fixture(scope="module")
def folder(phantom_plate, analysed, tmp_path_factory):
    """A folder with the small phantom plate and its results, as the examples find it."""
    place = tmp_path_factory.mktemp("examples")
    for path in phantom_plate.iterdir():
        (place / path.name).symlink_to(path)
    shutil.copytree(analysed, place / "results")
    return place


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_an_example(package):
    module = importlib.import_module(package)
    names = dict(documented(package))
    names.pop("imaging_service.client", None)
    assert [name for name, text in names.items() if ">>>" not in text] == []
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_examples_run(package, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=FLAGS)
    for name, text in documented(package):
        if name.rpartition(".")[2] not in CONSTANTS and ">>>" in text:
            runner.run(parser.get_doctest(text, {}, name, None, None))
    assert runner.summarize(verbose=False).failed == 0, capsys.readouterr().out
