"""Edits on their way to a service: each is a file until the service has answered.

So a crash on either side loses none. An edit is written here before it is sent and removed once the
service has it. Each carries a key of its own, by which the service recognises an edit that is sent
again because the answer was lost. One that is refused (another reviewer wrote a version since) goes
to `refused/` with the reason, together with the later edits of the same field: nothing is thrown
away, and no edit covers another reviewer's work unseen.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from imaging_service.errors import StoreError
from imaging_service.files import write_bytes
from imaging_service.review.crops import Crop, pack, unpack
from imaging_service.schemas import Region

Kind = Literal["labels", "verdict"]


@dataclass(frozen=True)
class Edit:
    """A correction of labels (`crops` upon `body["parent"]`) or a verdict (`body`).

    Of one field, or of a whole well.
    """

    key: str
    kind: Kind
    well: str
    field: int | None
    body: dict[str, Any]
    crops: tuple[Crop, ...] = ()


class Journal:
    """The unsent edits of one reviewer and run, in the order in which they were made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # The background thread and each new edit both send what waits.
        self._sending = threading.Lock()

    def add(
        self,
        kind: Kind,
        well: str,
        field: int | None,
        body: dict[str, Any],
        crops: Sequence[Crop] = (),
    ) -> Edit:
        """Write an edit to the disk, before anything else is done with it."""
        edit = Edit(uuid.uuid4().hex, kind, well, field, body, tuple(crops))
        numbers = [int(p.name[:6]) for p in self._files()]
        meta = {
            "key": edit.key,
            "kind": kind,
            "well": well,
            "field": field,
            "body": body,
            "regions": [c.region.model_dump() for c in crops],
        }
        path = self.folder / f"{max(numbers, default=0) + 1:06d}-{edit.key}.npz"
        write_bytes(path, pack(meta, crops))
        return edit

    def pending(self, well: str | None = None, field: int | None = None) -> list[Edit]:
        """Edits that the service does not have yet, oldest first; of one field if it is given.

        Raises StoreError for a damaged file.
        """
        with self._sending:
            edits = [_read(path) for path in self._files()]
        return [e for e in edits if well is None or (e.well, e.field) == (well, field)]

    def send(self, deliver: Callable[[Edit], str | None]) -> list[tuple[Edit, str]]:
        """Hand the pending edits to `deliver` in order; returns those refused, with reasons.

        `deliver` returns None for an edit that was accepted, the reason for one that was refused,
        and raises ConnectionError where there is no answer: then the rest waits.
        """
        with self._sending:
            return self._send(deliver)

    def _send(self, deliver: Callable[[Edit], str | None]) -> list[tuple[Edit, str]]:
        refused: list[tuple[Edit, str]] = []
        lost: set[tuple[str, int | None]] = set()
        for path in self._files():
            edit = _read(path)
            place = (edit.well, edit.field)
            why = None
            if edit.kind == "labels" and place in lost:
                why = (
                    f"well {edit.well}, field {edit.field}: an earlier correction, which this one"
                    " builds on, was refused"
                )
            else:
                try:
                    why = deliver(edit)
                except ConnectionError:
                    break
            if why is None:
                path.unlink(missing_ok=True)
                continue
            if edit.kind == "labels":
                lost.add(place)
            refused.append((edit, why))
            away = self.folder / "refused" / path.name
            away.parent.mkdir(parents=True, exist_ok=True)
            away.with_suffix(".txt").write_text(why, encoding="utf-8")
            path.rename(away)
        return refused

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.npz"))


def _read(path: Path) -> Edit:
    try:
        meta, crops = unpack(path.read_bytes(), lambda meta: [Region(**r) for r in meta["regions"]])
        return Edit(
            meta["key"], meta["kind"], meta["well"], meta["field"], meta["body"], tuple(crops)
        )
    except (ValueError, KeyError, json.JSONDecodeError) as error:
        raise StoreError(
            f"the unsent edit {path} is damaged ({error}); move the file elsewhere to go on"
        ) from error
