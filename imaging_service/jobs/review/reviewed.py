"""Reviewed fields with all that is known of them: pixels, labels, who drew what, and consent.

What is calibrated or trained upon a review reads these: from runs (`reviewed_fields`), or from the
folder that `review export` wrote (`imaging_service.jobs.review.export.read_export`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from imaging_service.jobs.review.agreement import reviewed
from imaging_service.review.local import LocalRun
from imaging_service.schemas import LabelVersion, Verdict
from plate_maps.consent import duo_codes, forbids_methods
from plate_maps.registry import Line

Labels = NDArray[np.int32]
# Whose the labels of a compartment are.
Source = Literal["corrected", "accepted", "engine"]


class FieldRecord(BaseModel):
    """Everything about a reviewed field but its arrays; JSON in an export.

    `labels` says of each compartment whose it is: "corrected" where a reviewer changed it,
    "accepted" where it is the engine's and a reviewer accepted the field, "engine" where no
    reviewer has checked it, so it is not a ground truth. `accepted_version` is the version of the
    labels that was accepted: where it is not `label_version`, what is not drawn may be missing.
    """

    run_id: str
    plate_name: str
    plate_digest: str
    well: str
    field: int
    frame: int
    line: str
    channels: list[str]
    roles: list[str | None]
    pixel_size_um: float
    height: int
    width: int
    labels: dict[str, Source]
    label_version: int
    accepted_version: int | None = None
    revision: int = Field(description="Of the whole review, as tables carry it.")
    authors: list[str] = Field(description="Who corrected or accepted the field, in order.")
    versions: list[LabelVersion]
    verdict: Verdict | None = None
    engine: str
    model_digest: str = Field(description="SHA-256 of the engine's weights; empty without any.")
    software_version: str
    protocol_digest: str
    consent: str = Field(description="The line's, as the registry has it; empty where unknown.")
    duo: list[str] = Field(description="Codes that could be read from it; none where unknown.")
    consent_from: str = Field(
        "", description="The registry that was asked; empty where the line is in none."
    )

    @property
    def forbids_methods(self) -> bool:
        """Whether the line's consent forbids to train or calibrate on the field (DUO NMDS)."""
        return forbids_methods(self.consent)


@dataclass(frozen=True)
class ReviewedField:
    """A reviewed field: its record, pixels (C, Y, X) of the camera and labels (Y, X)."""

    record: FieldRecord
    pixels: NDArray[np.generic]
    labels: Mapping[str, Labels]


def reviewed_fields(
    run: LocalRun, lines: Mapping[str, Line] | None = None, registry: str = ""
) -> Iterator[ReviewedField]:
    """Fields and time points that reviewers corrected or accepted, and did not reject, in order.

    Parameters
    ----------
    run
        The run, or an independent reading of it.
    lines
        The line registry, by name; without it the consent of every line is unknown.
    registry
        What the registry is called, for the record.
    """
    rows = {row["well"]: row for row in run.wells()}
    engine: dict[str, Any] = run.record["engine"]
    for well, number, frame in reviewed(run):
        verdicts = run.review.standing()
        of_field = verdicts.get((well, number, None))
        if not all(
            v.accepted for v in (of_field, verdicts.get((well, None, None))) if v is not None
        ):
            continue
        image = run.read_field(well, number, frame)
        versions = run.review.history(well, number)
        drawn = {r.compartment for v in versions for r in v.regions if r.frame == frame}
        first = run.engine_labels(well, number, frame)
        changed = {n for n in drawn if not np.array_equal(image.labels[n], first[n])}
        name = rows[well]["line"]
        line = (lines or {}).get(name)
        people = [*(v.author for v in versions), *([of_field.author] if of_field else [])]
        record = FieldRecord(
            run_id=run.record["run_id"],
            plate_name=run.record["plate_name"],
            plate_digest=run.record["plate_digest"],
            well=well,
            field=number,
            frame=frame,
            line=name,
            channels=list(image.channels),
            roles=list(image.roles),
            pixel_size_um=image.pixel_size_um,
            height=image.shape[0],
            width=image.shape[1],
            labels={n: _source(n in changed, of_field) for n in image.labels},
            label_version=image.label_version,
            accepted_version=_accepted(of_field, versions),
            revision=run.review.revision(),
            authors=list(dict.fromkeys(people)),
            versions=versions,
            verdict=of_field,
            engine=engine["engine"],
            model_digest=str(engine.get("checkpoint", {}).get("sha256", "")),
            software_version=run.record["software_version"],
            protocol_digest=run.record["protocol_digest"],
            consent="" if line is None else line.consent,
            duo=[] if line is None else list(duo_codes(line.consent)),
            consent_from="" if line is None else registry,
        )
        labels = {n: np.asarray(of, np.int32) for n, of in image.labels.items()}
        yield ReviewedField(record, image.pixels, labels)


def _source(changed: bool, verdict: Verdict | None) -> Source:
    if changed:
        return "corrected"
    return "accepted" if verdict is not None and verdict.accepted else "engine"


def _accepted(verdict: Verdict | None, versions: list[LabelVersion]) -> int | None:
    """The version of the labels that was accepted; None without acceptance."""
    if verdict is None or not verdict.accepted:
        return None
    if verdict.label_version is not None:
        return verdict.label_version
    # Verdicts of earlier versions do not say it: it was the newest at that time.
    return max((v.version for v in versions if v.time <= verdict.time), default=1)
