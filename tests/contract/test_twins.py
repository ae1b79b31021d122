"""Every module has its twin: PACKAGE/room/name.py is tested by tests/PACKAGE/room/test_name.py."""

from __future__ import annotations

from pathlib import Path

PACKAGES = ("plate_maps", "segmentation", "phenotypes", "imaging_service", "napari_plugin")
# `contract.py` holds tests itself: those that every plug-in passes.
WITHOUT = {"__init__.py", "__main__.py", "contract.py"}
# Modules without a twin yet, each with what holds it meanwhile. The list only gets shorter.
ALONE = {
    "napari_plugin/keys.py": "tests/napari_plugin/test_widget.py",
    "napari_plugin/curve_view.py": "tests/napari_plugin/test_widget.py",
    "napari_plugin/edits.py": "tests/napari_plugin/test_session.py",
    "napari_plugin/panel.py": "tests/napari_plugin/test_widget.py",
    "napari_plugin/places.py": "tests/napari_plugin/test_session.py",
    "napari_plugin/plate_view.py": "tests/napari_plugin/test_widget.py",
    "napari_plugin/read_ahead.py": "tests/napari_plugin/test_session.py",
    "napari_plugin/well_table.py": "tests/napari_plugin/test_session.py",
}


def without_twin(repository: Path) -> set[str]:
    """Modules whose twin is not there, relative to the repository."""
    found = (
        path.relative_to(repository)
        for package in PACKAGES
        for path in (repository / package).rglob("*.py")
    )
    needed = [path for path in found if path.name not in WITHOUT and "migrations" not in path.parts]
    return {
        str(m) for m in needed if not (repository / "tests" / m.parent / f"test_{m.name}").is_file()
    }


def test_every_module_has_its_twin(repository):
    assert sorted(without_twin(repository) - set(ALONE)) == []


def test_the_list_of_modules_without_a_twin_only_gets_shorter(repository):
    assert sorted(set(ALONE) - without_twin(repository)) == []
    assert [held_by for held_by in ALONE.values() if not (repository / held_by).is_file()] == []
