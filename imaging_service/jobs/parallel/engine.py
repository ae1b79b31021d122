"""The protocol's segmentation engine, loaded once per process.

Apart from `well` so that checking a run stays light.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

from imaging_service.jobs.parallel.network import Address, RemoteNetwork, is_served
from imaging_service.protocol import AssayProtocol, Segmentation
from segmentation import Segmenter
from segmentation import load as load_segmenter
from segmentation.sizes import Sizes


class Served:
    """The network process that this process asks; none where it holds the network itself."""

    network: Address | None = None


def load_engine(
    protocol: AssayProtocol, name: str, device: str, submitted: Mapping[str, Any] | None = None
) -> Segmenter:
    """The protocol's engine; loaded once per process, since a network takes seconds.

    `submitted` is its description at the submission: another checkpoint under the same path is
    refused.
    """
    checkpoint = (submitted or {}).get("checkpoint", {})
    sha256 = protocol.segmentation.checkpoint_sha256 or checkpoint.get("sha256")
    return _engine(protocol.segmentation, name, device, sha256)


@lru_cache(maxsize=2)
def _engine(part: Segmentation, name: str, device: str, sha256: str | None) -> Segmenter:
    # Engines describe themselves with their sizes, and with nothing else of the protocol.
    sizes = Sizes(**{f.name: getattr(part, f.name) for f in fields(Sizes)})
    given: dict[str, Any] = {
        option: value
        for option, value in (
            ("sha256", sha256),
            ("neurite_probability", part.neurite_probability),
            ("accuracy", None if part.accuracy == "standard" else part.accuracy),
        )
        if value is not None
    }
    if name.partition(":")[0] != "motornet":
        for key in ("neurite_probability", "accuracy"):
            if key in given:
                raise ValueError(
                    f"segmentation.{key} is a setting of the engine motornet; remove it from the"
                    " protocol, or choose motornet"
                )
    if Served.network is None or device == "cpu" or not is_served(name):
        return load_segmenter(name, device=device, sizes=sizes, **given)
    network = RemoteNetwork(Served.network, name, sha256)
    engine: Any = load_segmenter(name, device="cpu", sizes=sizes, **given)
    asking: Segmenter = engine.asking(network, **network.describe())
    return asking
