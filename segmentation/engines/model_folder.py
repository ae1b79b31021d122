"""A laboratory's own model: a folder of weights with where they come from and who promoted them.

    MODEL/weights.safetensors  the weights
    MODEL/lineage.json         parent, fields, split, seeds, packages, consent, licence
    MODEL/curve.csv            accuracy after every evaluation
    MODEL/card.md              the same for people, made from these files
    MODEL/decision.json        the last promotion that was asked for: granted or refused, and why

As an engine it is named by the folder, and only once it is promoted. The weights' own file can be
named too, to try a candidate: the record of a run then says that it is one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WEIGHTS = "weights.safetensors"
LINEAGE = "lineage.json"
CURVE = "curve.csv"
CARD = "card.md"
DECISION = "decision.json"
CANDIDATE = "a candidate that was not promoted"


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model."""
    return (folder / LINEAGE).is_file() and (folder / WEIGHTS).is_file()


def lineage(folder: Path) -> dict[str, Any]:
    """What a model came from. Raises ValueError where the file is not there or is damaged."""
    try:
        content = json.loads((folder / LINEAGE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{folder} is not a model: {LINEAGE} cannot be read ({error}); give the --out folder of"
            " `imaging-service models train`"
        ) from error
    needed = {"name", "licence", "training_data", "origin", "weights_sha256"}
    missing = sorted(needed - set(content)) if isinstance(content, dict) else sorted(needed)
    if missing:
        raise ValueError(f"{folder} is not a model: {LINEAGE} lacks {', '.join(missing)}")
    return dict(content)


def promotion(folder: Path, sha256: str) -> str:
    """Who promoted these weights and when; empty where they are not promoted.

    A decision on other weights does not count.
    """
    path = folder / DECISION
    if not path.is_file():
        return ""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} cannot be read ({error}); promote the model again") from error
    if not content.get("promoted") or content.get("weights_sha256") != sha256:
        return ""
    return f"promoted by {content['by']} on {content['time'][:10]}"


@dataclass(frozen=True)
class OwnModel:
    """A laboratory's model as a list shows it; `promotion` is empty for a candidate."""

    folder: Path
    licence: str
    training_data: str
    sha256: str
    promotion: str


def own_models(folder: Path) -> list[OwnModel]:
    """The models that lie in a folder, by name; none where there is no such folder."""
    models = []
    for path in sorted(p for p in folder.glob("*") if is_model(p)):
        known = lineage(path)
        digest = str(known["weights_sha256"])
        models.append(
            OwnModel(
                path, known["licence"], known["training_data"], digest, promotion(path, digest)
            )
        )
    return models
