"""A review of one run, without Qt: its place, its field, its corrections and the panel's texts.

Corrections are versions of a field's labels, verdicts decide what may be used
(`imaging_service.review.log`). In a folder they are on the disk before the call returns; for a
service they are in the journal before they are sent. So a crash loses nothing.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging_service.client import ServiceRefused
from imaging_service.errors import ReviewConflict, ServiceError, StoreError, damaged
from imaging_service.review.crops import Crop, with_crops
from imaging_service.review.field_image import FieldImage, compact
from imaging_service.review.local import LocalRun
from imaging_service.review.log import check_cells, not_undone
from imaging_service.review.pieces import check_pieces
from imaging_service.review.remote import RemoteRun
from imaging_service.review.run import Run, Standing, plate_contrast
from imaging_service.schemas import LabelVersion, Verdict
from napari_plugin import places
from napari_plugin.edits import (
    Labels,
    changes,
    checked,
    erased,
    graph_labels,
    merged,
    new_label,
    split,
)
from napari_plugin.places import Place
from napari_plugin.read_ahead import ReadAhead
from napari_plugin.tracing import ridges, strokes
from napari_plugin.views.wells import WellMark, WellTable

AHEAD = 3


@dataclass
class ReviewSession:
    """A run, the place in it, and the fields read ahead.

    Only wells that were analysed can be opened; `table.unusable` has the reasons of the others. Use
    `close` at the end.
    """

    run: Run
    author: str = field(default_factory=getpass.getuser)
    blinded: bool = False
    wells: list[str] = field(init=False)
    table: WellTable = field(init=False)
    position: int = field(init=False, default=0)
    number: int = field(init=False, default=1)
    frame: int = field(init=False, default=1)
    shown: FieldImage | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._asked: Future[None] = Future()
        self._asked.set_result(None)
        self._ahead = ReadAhead(self._read_whole)
        self._tables = ThreadPoolExecutor(1, thread_name_prefix="tables")
        self._claimed: list[tuple[str, int]] = []
        self._why: dict[tuple[str, int], str] = {}
        self._before: dict[tuple[str, int], tuple[int, list[tuple[int, list[Crop]]]]] = {}
        self._centre: tuple[int, int] | None = None
        self._seen: tuple[int, int, int] | None = None
        self._contrast: tuple[tuple[float, float], ...] | None = None
        self.read_tables()
        self.wells = self.table.wells

    @classmethod
    def open(cls, folder: Path, reading: str = "") -> ReviewSession:
        """A session on the folder of `imaging-service analyze`. Raises NotFound."""
        return cls(LocalRun(folder, reading))

    @classmethod
    def connect(
        cls, url: str, run: str, reading: str = "", journal: Path | None = None
    ) -> ReviewSession:
        """A session on a run of a service; sends what an earlier session could not send.

        Raises ServiceRefused.
        """
        return cls(RemoteRun.connect(url, run, reading, journal))

    def again(self, reading: str) -> ReviewSession:
        """The same run once more, as an independent reading or (empty) as the run's own record."""
        return ReviewSession(self.run.again(reading))

    def close(self) -> None:
        """End the reading ahead, and the connection to a service."""
        self._ahead.close()
        self._tables.shutdown(wait=True, cancel_futures=True)
        self.run.close()

    def read_tables(self) -> None:
        """Read wells and curves again."""
        self.table = WellTable(self.run)

    # ── the place ──

    @property
    def well(self) -> str:
        """The well being looked at. Raises IndexError where no well was analysed."""
        return self.wells[self.position]

    @property
    def place(self) -> Place:
        """Well, field and time point being looked at."""
        return self.well, self.number, self.frame

    def go_to(self, well: str, number: int = 1) -> None:
        """Look at a well's field. Raises ValueError with the reason where it cannot be opened."""
        if well not in self.wells:
            raise ValueError(f"well {well}: {self.table.unusable.get(well) or 'not in this run'}")
        self.position, self.number, self._centre = self.wells.index(well), number, None

    def go_to_frame(self, frame: int) -> None:
        """Look at a time point of the field, from 1."""
        self.frame = frame

    def next(self) -> bool:
        """Go to the next field, or the next well's first; False at the end of the plate."""
        following = self._after(self.position, self.number)
        if following is not None:
            self.position, self.number, self._centre = *following, None
        return following is not None

    def previous(self) -> bool:
        """Go to the field before, or the last of the well before; False at the beginning."""
        if self.number > 1:
            self.number -= 1
        elif self.position > 0:
            self.position -= 1
            self.number = self.table.fields(self.well)
        else:
            return False
        self._centre = None
        return True

    def _after(self, position: int, number: int) -> tuple[int, int] | None:
        if number < self.table.fields(self.wells[position]):
            return position, number + 1
        return (position + 1, 1) if position + 1 < len(self.wells) else None

    def next_ranked(self) -> bool:
        """Go to the next field of the queue; False where none is left.

        Fields that are judged, or that another reviewer is looking at, are passed over.
        """
        self._why = {(e.well, e.field): e.why for e in self.run.queue()}
        self._claimed = [p for p in self.run.claim(self.author, AHEAD + 1) if p[0] in self.wells]
        if not self._claimed:
            return False
        self.go_to(*self._claimed[0])
        return True

    @property
    def follows_queue(self) -> bool:
        """Whether the field came from the queue."""
        return (self.well, self.number) in self._claimed

    def move_window(self, y: float, x: float) -> None:
        """Load the labels around a place (pixels) of a field too large to be loaded whole."""
        self._centre = (int(y), int(x))
        self._ahead.forget(self.place)

    # ── the field ──

    def image(self) -> FieldImage:
        """Pixels and labels of the field being looked at.

        Raises ServiceError, after going back to the field on the screen: otherwise a correction
        would change a field that the reviewer does not see.
        """
        try:
            image = self._ready()
        except ServiceError:
            if self._seen is not None:
                self.position, self.number, self.frame = self._seen
            raise
        place = self.place[:2]
        if self._before.get(place, (0, []))[0] != image.label_version:
            # Another reviewer's version: the labels before this reviewer's corrections are stale.
            self._before[place] = (image.label_version, [])
        self.shown, self.frame = image, image.frame
        self._seen = (self.position, self.number, self.frame)
        return image

    def _ready(self) -> FieldImage:
        image = None if self._centre is not None else self._ahead.take(self.place)
        if image is None:
            return self._read(*self.place)
        try:
            newest = self.run.label_version(*self.place[:2])
        except ServiceRefused as error:
            if error.status is not None:
                raise
            return image  # without an answer now; a stale correction is refused once there is one
        return image if newest == image.label_version else self._read(*self.place)

    def _read(self, well: str, number: int, frame: int) -> FieldImage:
        shape = self.run.read_pixels(well, number).levels[0].shape
        # Of a shorter film the last time point is shown.
        frame = min(frame, shape[0]) if len(shape) == 4 else 1
        image = self.run.read_field(well, number, frame, places.window(shape[-2:], self._centre))
        small = {name: compact(labels) for name, labels in image.labels.items()}
        return replace(
            image, labels=small, graph=None if image.graph is None else graph_labels(image.graph)
        )

    def _read_whole(self, place: Place) -> FieldImage:
        """The field with its pixels in memory, unless it is too large for that."""
        image = self._read(*place)
        if max(image.shape) > places.WHOLE_PX or image.frames > 1:
            return image
        with damaged(StoreError, f"well {place[0]}, field {place[1]}, pixels"):
            return replace(image, levels=tuple(np.asarray(level[...]) for level in image.levels))

    def read_ahead(self) -> None:
        """Read the next fields in the background.

        Best called once the field is on the screen: drawing needs the same processors.
        """
        self._ahead.want(list(self._following()))

    def _following(self) -> Iterator[Place]:
        """The next fields: those claimed while the queue is followed, else those of the plate."""
        if self.follows_queue:
            yield from (
                (well, number, self.frame)
                for well, number in self._claimed
                if (well, number) != (self.well, self.number)
            )
            return
        position, number = self.position, self.number
        for _ in range(AHEAD):
            following = self._after(position, number)
            if following is None:
                return
            position, number = following
            yield self.wells[position], number, self.frame

    def contrast(self) -> tuple[tuple[float, float], ...]:
        """(low, high) per channel for the whole plate: a dim well must look dim."""
        if self._contrast is None:
            self._contrast = plate_contrast(self.run, self.wells)
        return self._contrast

    def tracks(self) -> NDArray[np.float64] | None:
        """The field's tracks (n, 4): track, time point from 0, y and x in µm.

        None in a fixed assay.
        """
        if not self.table.longitudinal:
            return None
        rows = [
            (r["track"], r["frame"] - 1, r["y_um"], r["x_um"])
            for r in self.run.cells(self.well, self.number)
            if r["track"] is not None
        ]
        return np.array(sorted(rows), np.float64).reshape(-1, 4)

    # ── corrections ──

    def save(self, painted: Mapping[str, Labels], reason: str = "painted") -> LabelVersion | None:
        """Write what was painted as the field's next version; None without any change.

        Only the smallest rectangle around the changes is written. Raises ReviewConflict where the
        field was corrected since it was shown, ReviewRefused for a soma without nucleus and for a
        number that two cells would have, ValueError for labels that cannot be stored.
        """
        return self._write(painted, reason, by_hand=True)

    def _write(
        self, painted: Mapping[str, Labels], reason: str, *, by_hand: bool = False
    ) -> LabelVersion | None:
        shown = self._shown()
        crops, before = changes(shown, checked(shown, painted))
        if not crops:
            return None
        whole, where = self._whole(), f"well {self.well}, field {self.number}"
        after = with_crops(whole, crops, shown.frame)
        check_cells(after, where)
        # Merging looks at the pieces itself, erasing and splitting join none.
        if by_hand:
            check_pieces(whole, after, where)
        return self._commit(crops, reason, before)

    def _whole(self) -> dict[str, NDArray[np.int32]]:
        """The labels of the whole field, wide enough for any number.

        Outside the loaded window of a very large field a number may be in use, too.
        """
        shown = self._shown()
        labels = shown.labels
        if any(image.shape != shown.shape for image in labels.values()):
            labels = self.run.read_field(self.well, self.number, shown.frame).labels
        return {name: np.asarray(image, np.int32) for name, image in labels.items()}

    def _commit(
        self, crops: Sequence[Crop], reason: str, before: list[Crop], undoes: int | None = None
    ) -> LabelVersion:
        shown, place = self._shown(), self.place[:2]
        version = self.run.commit(*place, shown.label_version, crops, self.author, reason, undoes)
        labels = dict(shown.labels)
        for crop in crops:
            if crop.frame == shown.frame:
                image = labels[crop.compartment].astype(np.int32)
                y, x = crop.y - shown.origin[0], crop.x - shown.origin[1]
                image[y : y + crop.labels.shape[0], x : x + crop.labels.shape[1]] = crop.labels
                labels[crop.compartment] = compact(image)
        self.shown = replace(shown, labels=labels, label_version=version.version, graph=None)
        undone = self._before.get(place, (0, []))[1]
        self._before[place] = (
            version.version,
            undone[:-1] if undoes else [*undone, (version.version, before)],
        )
        return version

    def erase(self, compartment: str, label: int) -> LabelVersion | None:
        """Take an object out (`edits.erased`); None where it does not exist."""
        return self._write(
            erased(self._shown(), compartment, label), f"erased {compartment} {label}"
        )

    def erase_neurite(self, point: tuple[float, float]) -> LabelVersion | None:
        """Take out the neurite at a point, to its next tip or crossing."""
        return self._write(strokes.without_branch(self._shown(), point), "erased a neurite")

    def trace(self, points: Sequence[tuple[float, float]]) -> LabelVersion | None:
        """Add a neurite along points (y, x) in pixels of the labels (`strokes.traced`)."""
        return self._write(strokes.traced(self._shown(), points), "traced a neurite")

    def way(self, start: tuple[float, float], end: tuple[float, float]) -> NDArray[np.float64]:
        """Points (n, 2) along the neurite between two points in pixels of the labels.

        Raises ValueError where no channel shows neurites.
        """
        shown = self._shown()
        if "neurite" not in shown.roles:
            raise ValueError(
                "the run has no channel of neurites to follow; hold Shift and click for a straight"
                " line"
            )
        origin, px = np.array(shown.origin, float), shown.pixel_size_um
        first, last = np.array(start) + origin, np.array(end) + origin
        place = ridges.around(shown.shape, tuple(first), tuple(last), px)
        whole = shown.levels[0]
        time = () if len(whole.shape) == 3 else (shown.frame - 1,)
        with damaged(StoreError, f"well {self.well}, field {self.number}, pixels"):
            pixels = np.asarray(whole[(*time, shown.roles.index("neurite"), *place)])
        corner = np.array([place[0].start, place[1].start], float)
        path = ridges.ridge_path(pixels, tuple(first - corner), tuple(last - corner), px)
        return np.asarray(ridges.smoothed(path) + corner - origin)

    def merge(self, first: int, second: int) -> LabelVersion | None:
        """Make two cells one (`edits.merged`)."""
        return self._write(merged(self._shown(), first, second), f"merged {second} into {first}")

    def split(
        self, label: int, points: list[tuple[float, float]], compartment: str = "nuclei"
    ) -> LabelVersion | None:
        """Cut a cell at points in pixels of the labels (`edits.split`)."""
        return self._write(
            split(self._shown(), label, points, compartment, self.new_label()),
            f"split {label} in {len(points)}",
        )

    def new_label(self) -> int:
        """A number that no object of the field has. Raises ValueError where none is left."""
        return new_label(replace(self._shown(), labels=self._whole()))

    def undo(self) -> LabelVersion | None:
        """Take back the field's last correction, as a new version; None where there is none."""
        shown, place = self._shown(), self.place[:2]
        before = self._before.get(place, (0, []))[1]
        if before:
            number, crops = before[-1]
            return self._commit(crops, f"undid version {number}", [], number)
        history = self.run.review.history(*place)
        last = not_undone(history)
        if last is None:
            return None
        if history[-1].version != shown.label_version:
            raise ReviewConflict(
                f"well {place[0]}, field {place[1]} was corrected by {history[-1].author} since you"
                " opened it; open it again to see the new labels"
            )
        version = self.run.revert(
            *place, last.parent, self.author, f"undid version {last.version}", last.version
        )
        self._ahead.forget(self.place)
        self.image()
        return version

    def _shown(self) -> FieldImage:
        if self.shown is None or self._seen != (self.position, self.number, self.frame):
            raise ValueError(
                f"well {self.well}, field {self.number} is not shown yet, so it cannot be corrected"
            )
        return self.shown

    # ── the tables ──

    def follow(self, done: Callable[[str], None]) -> None:
        """Let the tables follow the review, in the background.

        `done` is called with what went wrong, or an empty text. Raises ValueError in an independent
        reading.
        """
        if self.run.reading:
            raise ValueError(
                f"the tables do not follow the independent reading “{self.run.reading}”; open the"
                " run without it to bring them up to date"
            )

        def work() -> None:
            try:
                self.run.apply()
            except ServiceError as error:
                done(str(error))
            else:
                done("")

        self._tables.submit(work)

    def ask(self, answered: Callable[[int, str], None]) -> None:
        """Ask a service in the background how far its tables are.

        `answered` gets their revision (`Run.poll`) and what waits (`Run.waiting`). Does nothing
        while the last question has no answer yet.
        """
        run = self.run
        if self._asked.done():
            self._asked = self._tables.submit(lambda: answered(run.poll(), run.waiting()))

    # ── verdicts ──

    def accept(self, *, whole: bool = False) -> None:
        """Accept the field, or the whole well, which takes back a rejection of it."""
        self._judge(accepted=True, field=None if whole else self.number)

    def reject(self, reason: str, *, whole: bool = False) -> None:
        """Reject the field, or the whole well. Raises ValueError without a reason."""
        self._judge(accepted=False, reason=reason, field=None if whole else self.number)

    def reject_track(self, label: int, reason: str) -> int:
        """Reject the track of a cell of the time point; returns the track's number.

        Raises ValueError for a cell that is not in a track.
        """
        tracks = [
            r["track"]
            for r in self.run.cells(self.well, self.number)
            if (r["frame"], r["label"]) == (self.frame, label) and r["track"] is not None
        ]
        if not tracks:
            raise ValueError(
                f"cell {label} of time point {self.frame} is not in a track, so there is no track"
                " to reject"
            )
        track = int(tracks[0])
        self._judge(accepted=False, reason=reason, track=track, frame=self.frame, label=label)
        return track

    def _judge(self, **verdict: Any) -> None:
        seen = None
        if self.shown is not None and self._seen == (self.position, self.number, self.frame):
            seen = self.shown.label_version
        self.run.judge(
            Verdict(
                **(
                    {
                        "well": self.well,
                        "field": self.number,
                        "author": self.author,
                        "time": datetime.now(UTC),
                        "label_version": seen,
                    }
                    | verdict
                )
            )
        )

    # ── the panel ──

    def caption(self) -> str:
        """What the well is, its phenotypes beside vehicle, and why the field is in the queue.

        For a blinded reviewer only the number of the field.
        """
        field_of = f"field {self.number} of {self.table.fields(self.well)}"
        if self.blinded:
            return f"{field_of} (blinded)"
        reason = self._why.get((self.well, self.number), "") if self.follows_queue else ""
        lines = [f"{self.well}, {field_of}", self.table.words(self.well)]
        return "\n".join(lines + ([f"worth a look: {reason}"] if reason else []))

    def curve(self, phenotype: str) -> dict[str, Any] | None:
        """The curve that the well lies on (`WellTable.curve`); None for a blinded reviewer."""
        return None if self.blinded else self.table.curve(self.well, phenotype)

    def plate(self) -> list[WellMark]:
        """Every well of the plate map with how far its review is."""
        return self.table.marks(self.standing(), blinded=self.blinded)

    def standing(self) -> Standing:
        """The verdicts that stand, for `said` and `progress`: one request to a service."""
        return self.run.review.standing()

    def said(self, standing: Standing) -> str:
        """Verdicts on the field and its well so far, and the version of its labels.

        A blinded reviewer sees only their own verdicts.
        """
        parts = []
        for what, place in (
            ("well ", (self.well, None, None)),
            ("", (self.well, self.number, None)),
        ):
            verdict = standing.get(place)
            if verdict is not None and (not self.blinded or verdict.author == self.author):
                parts.append(
                    f"{what}accepted"
                    if verdict.accepted
                    else f"{what}rejected by {verdict.author}: {verdict.reason}"
                )
        if self.shown is not None and self.shown.label_version > 1:
            parts.append(f"label version {self.shown.label_version}")
        return " · ".join(parts)

    def progress(self, standing: Standing) -> str:
        """How many fields are judged, which reading this is, and whether the tables lag behind."""
        fields = [(well, n + 1) for well in self.wells for n in range(self.table.fields(well))]
        judged = sum(
            (well, n, None) in standing or (well, None, None) in standing for well, n in fields
        )
        parts = [f"{judged} of {len(fields)} fields judged"]
        if self.run.reading:
            parts.append(
                f"independent reading “{self.run.reading}”, which the tables do not follow"
            )
        elif state := self.run.lag():
            parts.append(
                f"tables at revision {state.applied} of {state.revision}: U brings them up to date"
            )
        if self.shown is not None and self.shown.graph is None:
            parts.append("the neurite graph is drawn again once the tables are up to date")
        return " · ".join(parts)
