"""Every module has its twin: PACKAGE/room/name.py is tested by tests/PACKAGE/room/test_name.py."""

from __future__ import annotations

from pathlib import Path

PACKAGES = ("plate_maps", "segmentation", "phenotypes", "imaging_service", "napari_plugin")
# `contract.py` holds tests itself: those that every plug-in passes.
WITHOUT = {"__init__.py", "__main__.py", "contract.py"}


def modules(repository: Path) -> list[Path]:
    """Modules that need a twin, relative to the repository."""
    found = [path.relative_to(repository) for package in PACKAGES for path in sorted((repository / package).rglob("*.py"))]
    return [path for path in found if path.name not in WITHOUT and "migrations" not in path.parts]


def test_every_module_has_its_twin(repository):
    alone = [str(m) for m in modules(repository) if not (repository / "tests" / m.parent / f"test_{m.name}").is_file()]
    assert alone == []


def test_a_twin_imports_its_module(repository):
    """A file of the right name that tests something else is no twin."""
    strangers = []
    for module in modules(repository):
        twin = repository / "tests" / module.parent / f"test_{module.name}"
        name = ".".join(module.with_suffix("").parts)
        package, _, last = name.rpartition(".")
        text = twin.read_text(encoding="utf-8") if twin.is_file() else name
        if name not in text and f"from {package} import" not in text:
            strangers.append((name, last))
    assert strangers == []
