"""The system's R, which CI installs."""

from __future__ import annotations

import shutil

import pytest


def rscript() -> str:
    """The program that runs a script of R. Raises UsageError where R is not installed."""
    if path := shutil.which("Rscript"):
        return path
    raise pytest.UsageError("no Rscript: the examples for R need one (apt install r-base-core)")
