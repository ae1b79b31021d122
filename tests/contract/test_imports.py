"""The import rules of the house are a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.messages import states


def test_import_contracts_are_kept(repository):
    command = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run([command], cwd=repository, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert states("imports.kept", result.stdout, kept=10)
