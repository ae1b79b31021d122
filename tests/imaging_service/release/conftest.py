"""A laboratory and its open release, written once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from imaging_service.release.gate.ledger import NOTED
from tests.imaging_service.release.drawn_release import PLATES, filled_form, laboratory


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The laboratory's folder; not to be written to."""
    return laboratory(tmp_path_factory.mktemp("okaforlab"))


@pytest.fixture(scope="session")
def released(lab, tmp_path_factory):
    """An open release of the laboratory: its folder, bundle and what was written."""
    from imaging_service.release.bundle import write_release

    root = tmp_path_factory.mktemp("released")
    folder = filled_form(root / "first", lab)
    form = (folder / "release.toml").read_text(encoding="utf-8")
    ledger = f'ledger = "{root / "ledger.jsonl"}"'
    lines = [ledger if line.startswith("ledger =") else line for line in form.splitlines()]
    (folder / "release.toml").write_text("\n".join(lines), encoding="utf-8")
    written = write_release(folder, root / "bundle")
    # The laboratory stays as it was: other tests begin with a ledger of their own.
    for noted in ("als", *PLATES):
        (lab / noted / NOTED).rename(root / NOTED)
    return SimpleNamespace(folder=folder, bundle=root / "bundle", written=written, lab=lab)
