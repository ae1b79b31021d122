"""Which accuracy a run may carry: what `calibrate` measured on this assay, or that none was.

A figure holds for the engine, the weights and the settings that it was measured with. Anything else
would be a general figure under a specific name.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from imaging_service.protocol import AssayProtocol


class AccuracyStatus(StrEnum):
    """Whether a run's accuracy on its assay is known."""

    MEASURED = "measured"
    NOT_MEASURED = "not_measured"
    OTHER_ENGINE = "other_engine"
    OTHER_SETTINGS = "other_settings"


def accuracy_of(protocol: AssayProtocol, engine: Mapping[str, Any]) -> dict[str, Any]:
    """Status, reason and figures of a run; `engine` is as it described itself.

    Figures are there only where they hold for this run.
    """
    known = protocol.accuracy
    if known is None:
        return _without(
            AccuracyStatus.NOT_MEASURED,
            "no fields of this assay were traced to measure the engine on: correct or accept some,"
            " then `imaging-service calibrate`",
        )
    weights = str(engine.get("checkpoint", {}).get("sha256", ""))
    if (engine["engine"], weights) != (known.engine, known.weights_sha256):
        return _without(
            AccuracyStatus.OTHER_ENGINE,
            f"the protocol's accuracy is that of {known.engine}"
            f" {known.weights_sha256[:16]}".rstrip()
            + f", but the run was segmented by {engine['engine']} {weights[:16]}".rstrip(),
        )
    if protocol.segmentation.settings_digest() != known.settings_sha256:
        return _without(
            AccuracyStatus.OTHER_SETTINGS,
            "[segmentation] was changed since the accuracy was measured: calibrate again",
        )
    return {
        "status": AccuracyStatus.MEASURED,
        "reason": "",
        "fields": known.fields,
        "wells": known.wells,
        "runs": list(known.runs),
        "figures": {name: list(figure) for name, figure in known.figures.items()},
    }


def _without(status: AccuracyStatus, reason: str) -> dict[str, Any]:
    return {"status": status, "reason": reason, "figures": {}}
