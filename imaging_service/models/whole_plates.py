"""Analyse a held-out plate with a candidate as well, and compare wells and curves of the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from imaging_service.errors import ModelRefused, StoreError
from imaging_service.jobs.analyze import Progress, analyze
from imaging_service.jobs.records import RunFolder, RunInputs, RunRecord, load
from imaging_service.models.shifts import Shift, run_shifts
from imaging_service.review.local import LocalRun
from imaging_service.store.tables import read_table
from segmentation.engines import model_folder


def whole_plates(
    folder: Path,
    content: Mapping[str, Any],
    runs: Sequence[Path],
    *,
    device: str = "auto",
    progress: Progress | None = None,
) -> dict[str, list[Shift]]:
    """Plate ► shifts between a run and the same plate analysed with the model in `folder`.

    The new runs stay in the model's folder, so that the same call goes on where it stopped.
    `content` is the model's lineage. Raises ModelRefused for a plate that was learnt from or a run
    of another engine than the one that the model began from, StoreError for a run without its
    record.
    """
    shifts = {}
    for root in runs:
        run = LocalRun(root)
        record = checked_run(run, content)
        weights = (folder / model_folder.WEIGHTS).resolve()
        inputs = replace(record.inputs, engine=f"motornet:{weights}", device=device)
        pinned = replace(inputs.protocol.segmentation, checkpoint_sha256=None)
        protocol = inputs.protocol.model_copy(update={"segmentation": pinned})
        inputs = replace(inputs, protocol=protocol)
        out = folder / "plates" / record.run_id[:12]
        analyze(partial(_same, inputs), out, device=device, progress=progress)
        # As the engine left them: a reviewer corrected the old labels only.
        old, new = (
            tuple(read_table(place / f"{name}.parquet") for name in ("wells", "responses"))
            for place in (run.root, out)
        )
        shifts[record.plate_name] = run_shifts((old[0], old[1]), (new[0], new[1]))
    return shifts


def _same(inputs: RunInputs) -> RunInputs:
    return inputs


def checked_run(run: LocalRun, content: Mapping[str, Any]) -> RunRecord:
    """A run's record, if the model's parent made it and no field of the plate was learnt from."""
    path = RunFolder(run.root).record
    if not path.is_file():
        raise StoreError(
            f"{run.root / 'work'} was deleted: without the run's record its plate cannot be"
            " analysed again; analyse the plate with the old network first"
        )
    record = load(RunRecord, path)
    learnt = sorted(
        f["well"] for f in content["split"]["train"] if f["plate_digest"] == record.plate_digest
    )
    if learnt:
        raise ModelRefused(
            f"{run.root} is of plate {record.plate_name}, of which the model learnt"
            f" ({', '.join(learnt)}); name the run of a plate that was held out"
        )
    weights = str(record.engine.get("checkpoint", {}).get("sha256", ""))
    if weights != content["parent"]["sha256"]:
        raise ModelRefused(
            f"{run.root} was not analysed with {content['parent']['name']}, from which the model"
            " began; analyse the plate with it, so that old and new can be compared"
        )
    return record
