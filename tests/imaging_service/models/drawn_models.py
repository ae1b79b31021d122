"""A model's folder as a training leaves it, without a training: its weights are no network."""

from __future__ import annotations

import json
from pathlib import Path

SHA256 = "5" * 64


def figure(value, low=None, high=None):
    return {"value": value, "low": low, "high": high, "fields": 4, "wells": 3}


def write_model(folder: Path, decision: dict | None = None) -> Path:
    """A model that learnt from plate P1 and was measured on P2; `decision` as in decision.json."""
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"weights")
    part = {"benchmark": {"neurite_f1": 0.95}, "accuracy": 0.9}
    lineage = {
        "name": folder.name,
        "licence": "BSD-3-Clause",
        "training_data": "4 fields",
        "origin": "here",
        "weights_sha256": SHA256,
        "parent": {"name": "motornet", "sha256": "7" * 64},
        "split": {
            "level": "plate",
            "train": [{"plate_name": "P1"}],
            "held_out": [{"plate_name": "P2"}],
        },
        "consent": {"L1": "GRU"},
        "left_out": ["P9: NMDS"],
        "software_version": "0.2.0",
        "evidence": {
            "before": part | {"held_out": {"neurite_f1": figure(0.871)}},
            "after": part | {"held_out": {"neurite_f1": figure(0.902, 0.88, 0.921)}},
            "phenotypes": [],
        },
    }
    (folder / "lineage.json").write_text(json.dumps(lineage))
    if decision is not None:
        decided = {"by": "Ada", "time": "2026-05-04T10:00", "reasons": [], "notes": ["no EC50"]}
        decided |= {"promoted": True, "weights_sha256": SHA256}
        (folder / "decision.json").write_text(json.dumps(decided | decision))
    return folder
