"""A run of a service as a reviewer sees it: what `LocalRun` is for a folder, over HTTP.

A journal keeps the edits that are not sent yet.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imaging_service.client import Client, ServiceRefused
from imaging_service.errors import ReviewConflict, ServiceError, StoreError
from imaging_service.review.crops import Crop, pack, shifted, unpack, with_crops
from imaging_service.review.field_image import (
    FieldImage,
    FieldPixels,
    Row,
    Window,
    read_pixels,
    well_group,
)
from imaging_service.review.journal import Edit, Journal
from imaging_service.review.log import ENGINE_VERSION, GRAPH, latest
from imaging_service.schemas import (
    Claim,
    FieldLabels,
    LabelVersion,
    QueueEntry,
    ReviewState,
    Verdict,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Labels = NDArray[np.int32]

_NPZ = "application/x-npz"
_LEFT_ALONE_S = 15.0


class RemoteReview:
    """The review of a run on a service, unsent verdicts included."""

    def __init__(self, client: Client, path: str, params: dict[str, str], journal: Journal) -> None:
        self._client, self._path, self._params, self._journal = client, path, params, journal
        self._verdicts: list[Verdict] = []

    def history(self, well: str, field: int) -> list[LabelVersion]:
        """Versions of a field's labels that reviewers made, oldest first."""
        answer = self._client.ask(
            "GET", f"{self._path}/fields/{well}/{field}/history", params=self._params
        )
        return [LabelVersion.model_validate(v) for v in answer.json()]

    def head(self, well: str, field: int) -> int:
        """The newest version of a field's labels."""
        history = self.history(well, field)
        return history[-1].version if history else ENGINE_VERSION

    def standing(self) -> dict[tuple[str, int | None, int | None], Verdict]:
        """(well, field, track) ► the verdict that stands; as last known without an answer."""
        try:
            answer = self._client.ask("GET", f"{self._path}/verdicts", params=self._params)
            self._verdicts = [Verdict.model_validate(v) for v in answer.json()]
        except ServiceRefused as error:
            if error.status is not None:
                raise
        unsent = [
            Verdict.model_validate(e.body) for e in self._journal.pending() if e.kind == "verdict"
        ]
        return latest([*self._verdicts, *unsent])


class RemoteRun:
    """A finished run on a service. Raises ServiceRefused with the service's own explanation.

    Parameters
    ----------
    journal
        Folder for edits until they are sent; the user's data folder if not given.
    reading
        Name of an independent reading (`imaging_service.review.log`).
    """

    def __init__(
        self, client: Client, run_id: str, journal: Path | None = None, reading: str = ""
    ) -> None:
        self.client, self.reading, self.kept_in = client, reading, journal
        run = client.run(run_id)
        self._path = f"/runs/{run.id}"
        self._params = {"reading": reading} if reading else {}
        self.record: dict[str, Any] = client.ask("GET", f"{self._path}/record").json()
        # Unsent edits wait under the run's id: the same plate analysed again is another run, with
        # other labels.
        self.journal = Journal((journal or _user_folder()) / run.id[:16] / (reading or "review"))
        self.review = RemoteReview(client, self._path, self._params, self.journal)
        self.refused: list[tuple[Edit, str]] = []
        self._away_until = 0.0
        self._wells: list[dict[str, Any]] = []
        self._stores: dict[str, Any] = {}
        # The pixels of a field never change.
        self._pixels: dict[tuple[str, int], FieldPixels] = {}
        self.refresh()
        self.sync()

    def __repr__(self) -> str:
        run_id = self._path.rpartition("/")[2]
        return f"RemoteRun({self.client.url!r}, run {run_id[:12]}, {len(self._wells)} wells)"

    @classmethod
    def connect(
        cls, url: str, run: str, reading: str = "", journal: Path | None = None
    ) -> RemoteRun:
        """A run of the service at an address; waits 30 s for slow answers.

        Edits that an earlier session could not send are sent.
        """
        return cls(Client(url, read_seconds=30.0), run, journal, reading)

    def again(self, reading: str) -> RemoteRun:
        """The same run once more, over a connection of its own.

        As an independent reading, or (empty) as the run's own review.
        """
        return RemoteRun.connect(self.client.url, str(self.record["run_id"]), reading, self.kept_in)

    def refresh(self) -> None:
        """Read the tables again; for an independent reading those of the engine's labels."""
        self._wells = self.client.wells(
            self._path.rpartition("/")[2], labels="engine" if self.reading else "newest"
        )

    def wells(self) -> list[Row]:
        """The well table, corrected where the tables have followed the review.

        Values are text, empty where there is no value.
        """
        return [_as_text(row) for row in self._wells]

    def responses(self) -> list[Row]:
        """The response table, likewise."""
        return [
            _as_text(row)
            for row in self.client.responses(
                self._path.rpartition("/")[2], labels="engine" if self.reading else "newest"
            )
        ]

    def curves(self) -> list[dict[str, Any]]:
        """Dose-response curves with the wells behind them, likewise."""
        curves: list[dict[str, Any]] = self.client.ask(
            "GET", f"{self._path}/curves", params=self._params
        ).json()
        return curves

    def queue(self) -> list[QueueEntry]:
        """Fields by how much they need a look, each with the reviewer who is looking at it."""
        return [
            QueueEntry.model_validate(e)
            for e in self.client.ask("GET", f"{self._path}/queue", params=self._params).json()
        ]

    def claim(self, reviewer: str, count: int) -> list[tuple[str, int]]:
        """Fields to look at next, which no other reviewer gets for a while."""
        body = Claim(reviewer=reviewer, count=count).model_dump()
        answer = self.client.ask(
            "POST", f"{self._path}/queue/claims", json=body, params=self._params
        )
        return [(e["well"], e["field"]) for e in answer.json()]

    def read_pixels(self, well: str, number: int) -> FieldPixels:
        """Lazy pixels of a field, counted from 1; chunks come as they are looked at."""
        if (well, number) not in self._pixels:
            self._pixels[well, number] = read_pixels(
                self._group("plate.zarr", f"{well_group(well)}/{number - 1}")
            )
        return self._pixels[well, number]

    def _group(self, store: str, where: str) -> Any:
        import zarr
        from zarr.storage import FsspecStore

        if store not in self._stores:
            self._stores[store] = FsspecStore.from_url(
                f"{self.client.url}{self._path}/{store}",
                storage_options={"client_kwargs": {"headers": self.client.headers}},
                read_only=True,
            )
        try:
            return zarr.open_group(self._stores[store], path=where, mode="r")
        except FileNotFoundError as error:
            raise StoreError(f"the service has no {where} in the run's {store}") from error
        except OSError as error:  # aiohttp's errors of connection are OSErrors
            raise ServiceRefused(f"no answer from {self.client.url} ({error})") from error

    def read_field(
        self, well: str, number: int, frame: int = 1, window: Window | None = None
    ) -> FieldImage:
        """Lazy pixels and the newest labels of a field and time point, unsent corrections included.

        Both count from 1.
        """
        import numpy as np

        params = {**self._params, "frame": str(frame)}
        if window is not None:
            params |= {name: str(value) for name, value in window._asdict().items()}
        answer = self.client.ask(
            "GET", f"{self._path}/fields/{well}/{number}/labels", params=params
        )
        meta, crops = _unpacked(answer.content)
        labels = {c.compartment: np.asarray(c.labels, np.int32) for c in crops}
        graph = labels.pop(GRAPH, None)
        y, x = (window.y, window.x) if window else (0, 0)
        unsent = self.unsent_labels(well, number)
        inside = (
            shifted(c, y, x, labels[c.compartment].shape)
            for e in unsent
            for c in e.crops
            if c.compartment in labels
        )
        pixels = self.read_pixels(well, number)
        return FieldImage(
            pixels.levels,
            pixels.channels,
            pixels.roles,
            with_crops(labels, (c for c in inside if c is not None), frame),
            pixels.pixel_size_um,
            meta.label_version + len(unsent),
            frame,
            pixels.hours,
            (y, x),
            graph,
        )

    def cells(self, well: str, number: int) -> list[dict[str, Any]]:
        """Rows of the cell table of a field, all time points."""
        rows: list[dict[str, Any]] = self.client.ask(
            "GET", f"{self._path}/cells", params={**self._params, "well": well, "field": number}
        ).json()
        return rows

    def label_version(self, well: str, number: int) -> int:
        """The newest version of a field's labels, unsent corrections included."""
        return self.review.head(well, number) + len(self.unsent_labels(well, number))

    def unsent_labels(self, well: str, number: int) -> list[Edit]:
        """Corrections of a field that the service does not have yet."""
        return [e for e in self.journal.pending(well, number) if e.kind == "labels"]

    def commit(
        self,
        well: str,
        number: int,
        parent: int,
        crops: Sequence[Crop],
        author: str,
        reason: str,
        undoes: int | None = None,
    ) -> LabelVersion:
        """Write the next version of a field's labels, or keep it until the service answers.

        Raises ReviewConflict where another reviewer wrote a version since, ServiceRefused for any
        other refusal.
        """
        edit = self.journal.add(
            "labels",
            well,
            number,
            {"parent": parent, "author": author, "reason": reason, "undoes": undoes},
            crops,
        )
        self._sent(edit)
        return LabelVersion(
            well=well,
            field=number,
            version=parent + 1,
            parent=parent,
            author=author,
            reason=reason,
            time=datetime.now(UTC),
            edit=edit.key,
            regions=[c.region for c in crops],
        )

    def revert(
        self, well: str, number: int, to: int, author: str, reason: str, undoes: int | None = None
    ) -> LabelVersion:
        """Go back to an earlier version, as a new one. Needs the service's answer."""
        body = {"to": to, "author": author, "reason": reason, "undoes": undoes}
        answer = self.client.ask(
            "POST", f"{self._path}/fields/{well}/{number}/revert", json=body, params=self._params
        )
        return LabelVersion.model_validate(answer.json())

    def judge(self, verdict: Verdict) -> None:
        """Write a verdict, or keep it until the service answers."""
        self._sent(
            self.journal.add(
                "verdict", verdict.well, verdict.field, verdict.model_dump(mode="json")
            )
        )

    def _sent(self, edit: Edit) -> None:
        """Send what waits; raises the service's refusal of `edit`."""
        for refused, why in self.sync(force=False):
            if refused.key == edit.key:
                self.refused.remove((refused, why))
                raise ReviewConflict(why) if refused.kind == "labels" else ServiceRefused(why)

    def sync(self, *, force: bool = True) -> list[tuple[Edit, str]]:
        """Send what waits in the journal; returns, and keeps in `refused`, what was refused.

        Unless it is forced, a service that did not answer is left alone for a while: a reviewer
        must not wait for it at every stroke.
        """
        if not force and time.monotonic() < self._away_until:
            return []
        refused = self.journal.send(self._deliver)
        self.refused += refused
        return refused

    def _deliver(self, edit: Edit) -> str | None:
        try:
            if edit.kind == "verdict":
                self.client.ask(
                    "POST", f"{self._path}/verdicts", json=edit.body, params=self._params
                )
            else:
                body = edit.body
                self.client.ask(
                    "PATCH",
                    f"{self._path}/fields/{edit.well}/{edit.field}/labels",
                    content=pack([c.region.model_dump() for c in edit.crops], edit.crops),
                    headers={
                        "If-Match": f'"{body["parent"]}"',
                        "Content-Type": _NPZ,
                        "Idempotency-Key": edit.key,
                    },
                    params={
                        **self._params,
                        **{
                            n: body[n]
                            for n in ("author", "reason", "undoes")
                            if body.get(n) is not None
                        },
                    },
                )
        except ServiceRefused as error:
            if error.status is None or error.status >= 500:
                self._away_until = time.monotonic() + _LEFT_ALONE_S
                raise ConnectionError(str(error)) from error
            return str(error)
        self._away_until = 0.0
        return None

    def state(self) -> ReviewState:
        """How far the tables have followed the review."""
        return ReviewState.model_validate(self.client.ask("GET", f"{self._path}/review").json())

    def apply(self) -> None:
        """Ask for the tables to follow, and wait until they have.

        Raises ServiceRefused with the reason where they cannot.
        """
        wanted = ReviewState.model_validate(
            self.client.ask("POST", f"{self._path}/review").json()
        ).revision
        while (state := self.state()).applied < wanted:
            if state.reason:
                raise ServiceRefused(state.reason)
            time.sleep(0.2)
        self.refresh()

    def lag(self) -> ReviewState | None:
        """None: the tables of a service follow by themselves."""
        return None

    def poll(self) -> int:
        """Send what waits, and ask at which revision the tables stand; 0 without an answer."""
        try:
            self.sync()
            return self.state().applied
        except ServiceRefused:
            return 0

    def waiting(self) -> str:
        """What is not sent yet and what was refused, one per line; empty where all is sent."""
        unsent = len(self.journal.pending())
        lines = [f"{unsent} edits wait for the service"] if unsent else []
        lines += [
            f"refused: {why} (kept in {self.journal.folder / 'refused'})" for _, why in self.refused
        ]
        return "\n".join(lines)

    def close(self) -> None:
        """End the connection."""
        self.client.close()


def _unpacked(content: bytes) -> tuple[FieldLabels, list[Crop]]:
    try:
        meta, crops = unpack(content, lambda meta: FieldLabels.model_validate(meta).regions)
        return FieldLabels.model_validate(meta), crops
    except ValueError as error:
        raise ServiceError(
            f"the service's answer cannot be read as labels ({error}); is the service of the same"
            " version?"
        ) from error


def _as_text(row: dict[str, Any]) -> Row:
    return {name: "" if value is None else str(value) for name, value in row.items()}


def _user_folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("motor-neuron-review")
