"""A service's run as the folder that a screen on this machine takes in."""

from __future__ import annotations

import json
from pathlib import Path

from imaging_service.client import Client, ServiceRefused
from imaging_service.errors import ScreenError
from imaging_service.schemas import ReviewState

_NEEDED, _OPTIONAL = ("wells", "quality"), ("tracks",)


def fetch_run(client: Client, run: str, folder: Path) -> Path:
    """Write the record and the newest tables of a service's run to a folder, and return it.

    As far as `add_run` reads them. Raises ServiceRefused with the service's explanation, and
    ScreenError for a run whose tables have not followed its review yet.
    """
    state = ReviewState.model_validate(client.ask("GET", f"/runs/{run}/review").json())
    if state.applied != state.revision:
        raise ScreenError(
            f"run {run} was reviewed, and its tables have not followed yet (review at revision"
            f" {state.revision}, tables at {state.applied}); add it once they have"
        )
    record = client.ask("GET", f"/runs/{run}/record").json()
    folder.mkdir(parents=True)
    for name in (*_NEEDED, *_OPTIONAL):
        try:
            answer = client.ask("GET", f"/runs/{run}/tables/{name}", params={"format": "parquet"})
        except ServiceRefused as error:
            # A run of a fixed end-point has no tracks.
            if name in _NEEDED or error.status != 404:
                raise
            continue
        (folder / f"{name}.parquet").write_bytes(answer.content)
    # Corrected tables come as the run's own, so their version is kept with the record.
    text = json.dumps(record | {"label_version": state.applied})
    (folder / "run.json").write_text(text, encoding="utf-8")
    return folder
