"""Every module has its twin: PACKAGE/room/name.py is tested by tests/PACKAGE/room/test_name.py."""

from __future__ import annotations

PACKAGES = ("plate_maps", "segmentation", "phenotypes", "imaging_service", "napari_plugin")
# `contract.py` holds tests itself: those that every plug-in passes.
WITHOUT = {"__init__.py", "__main__.py", "contract.py"}


def test_every_module_has_its_twin(repository):
    modules = [
        path.relative_to(repository)
        for package in PACKAGES
        for path in sorted((repository / package).rglob("*.py"))
        if path.name not in WITHOUT and "migrations" not in path.parts
    ]
    assert len(modules) > 100
    assert [
        str(m)
        for m in modules
        if not (repository / "tests" / m.parent / f"test_{m.name}").is_file()
    ] == []
