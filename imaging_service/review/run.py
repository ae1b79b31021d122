"""What a review program may ask of a run, in a folder or behind a service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Protocol

from imaging_service.review.crops import Crop
from imaging_service.review.field_image import FieldImage, FieldPixels, Row, Window
from imaging_service.schemas import LabelVersion, QueueEntry, ReviewState, Verdict

# (well, field, track) ► the verdict that stands; None stands for all fields, or for no track.
Standing = Mapping[tuple[str, int | None, int | None], Verdict]


class Review(Protocol):
    """The review of a run: versions of labels and verdicts."""

    def history(self, well: str, field: int) -> list[LabelVersion]:
        """Versions of a field's labels that reviewers made, oldest first."""

    def standing(self) -> Standing:
        """The verdicts that stand."""


class Run(Protocol):
    """A finished run to be reviewed, or one independent `reading` of it.

    Fields and time points count from 1.
    """

    @property
    def record(self) -> dict[str, Any]:
        """The run's record: its id, inputs with protocol, plate format."""

    @property
    def reading(self) -> str:
        """Name of the independent reading; empty for the run's own review."""

    @property
    def review(self) -> Review:
        """The versions of labels and the verdicts."""

    def again(self, reading: str) -> Run:
        """The same run once more, as an independent reading or (empty) as the run's review."""

    def close(self) -> None:
        """Close what is held open."""

    # ── tables: values as text, empty where there is no value ──

    def refresh(self) -> None:
        """Read the tables again where they are kept."""

    def wells(self) -> list[Row]:
        """The well table, corrected where it has followed the review."""

    def curves(self) -> list[dict[str, Any]]:
        """Dose-response curves with the wells behind them, likewise."""

    def cells(self, well: str, number: int) -> list[dict[str, Any]]:
        """Rows of the cell table of a field, all time points, likewise."""

    # ── fields ──

    def queue(self) -> list[QueueEntry]:
        """Fields by how much they need a look, the most urgent first."""

    def claim(self, reviewer: str, count: int) -> list[tuple[str, int]]:
        """The next fields of the queue that are not judged and that no other reviewer looks at."""

    def read_pixels(self, well: str, number: int) -> FieldPixels:
        """Lazy pixels of a field."""

    def read_field(
        self, well: str, number: int, frame: int = 1, window: Window | None = None
    ) -> FieldImage:
        """Lazy pixels and the newest labels of a field and time point."""

    def label_version(self, well: str, number: int) -> int:
        """The newest version of a field's labels, unsent corrections included."""

    # ── what the reviewer does ──

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
        """Write the next version of a field's labels. Raises ReviewConflict, ReviewRefused."""

    def revert(
        self, well: str, number: int, to: int, author: str, reason: str, undoes: int | None = None
    ) -> LabelVersion:
        """Go back to an earlier version, as a new one."""

    def judge(self, verdict: Verdict) -> None:
        """Write a verdict."""

    # ── how far the tables and a service are ──

    def apply(self) -> None:
        """Let the tables follow the review, and wait for it. Raises ServiceError."""

    def lag(self) -> ReviewState | None:
        """Where the tables lag behind the review until `apply` is asked for.

        None where they do not, or follow by themselves.
        """

    def poll(self) -> int:
        """Send what waits to be sent, and ask at which revision the tables stand.

        0 without an answer, and where they move only by `apply`.
        """

    def waiting(self) -> str:
        """What is not sent yet and what was refused, one per line; empty where all is sent."""


def plate_contrast(run: Run, wells: Sequence[str]) -> tuple[tuple[float, float], ...]:
    """(low, high) per channel that suits the whole plate. Raises StoreError.

    Medians over up to five wells spread evenly over it.
    """
    chosen = [wells[i * (len(wells) - 1) // 4] for i in range(5)] if len(wells) > 5 else wells
    windows = [run.read_pixels(well, 1).contrast for well in dict.fromkeys(chosen)]
    channels = (zip(*channel, strict=True) for channel in zip(*windows, strict=True))
    return tuple((median(low), median(high)) for low, high in channels)
