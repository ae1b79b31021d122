"""A model that was trained for two steps on drawn fields: narrow, fast, and no good."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from imaging_service.models.training import Effort, train_model
from tests.imaging_service.models.drawn_fields import four_plates

EFFORT = Effort(steps=2, every=1, batch=2, side=32, frozen=1, benchmark=1, benchmark_side=320)


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a narrow network that were never trained."""
    import torch

    from segmentation.engines.motornet.network import MotorNet
    from segmentation.engines.motornet.train import Plan, write_weights

    path = tmp_path_factory.mktemp("narrow") / "narrow.safetensors"
    torch.manual_seed(0)
    write_weights(MotorNet((8, 8, 8, 8)), Plan(), path)
    return path


@pytest.fixture(scope="session")
def trained(narrow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder; not to be written to."""
    out = tmp_path_factory.mktemp("models") / "assay-1"
    return train_model(
        four_plates(), out, left_out=["P9: NMDS"], start=narrow, device="cpu", effort=EFFORT
    )


@pytest.fixture
def model(trained, tmp_path) -> Path:
    """A copy, to be written to."""
    return shutil.copytree(trained, tmp_path / "assay-1")
