"""The record of a run's review: versions of labels and verdicts, each a file that never changes.

    RUN/review/labels/B03/1/0002.npz    field 1 of well B03 as it was corrected: the changed crops,
                                        parent, author, time, reason
    RUN/review/verdicts/000001.json     accepted or rejected: a field, a well or a track, with the
                                        reason

Version 1 of a field's labels is the engine's. A correction names the version that it was made on.
If another reviewer wrote a version since, it is refused and nothing is lost: the reviewer looks
again. Going back to an earlier version writes a new one as well.

RUN/readings/NAME/… is an independent reading: the same files, begun from the engine's labels, which
the tables do not follow. Two of them measure how well reviewers agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imaging_service.errors import ReviewConflict, ReviewRefused, StoreError
from imaging_service.files import write_once
from imaging_service.review.crops import Crop, pack, unpack, with_crops
from imaging_service.review.neurites import NEURITES, with_neurite_mask
from imaging_service.schemas import LabelVersion, Region, Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Labels = NDArray[np.int32]

ENGINE_VERSION = 1
COMPARTMENTS = ("nuclei", "somas", "neurites", "puncta", "granules")
# A label image that is looked at and never corrected: the neurites' skeleton as it was measured
# (`phenotypes.cells.measure`).
GRAPH = "neurite_graph"
# The number of its pixels that are attributed to no cell.
UNATTRIBUTED = 2**31 - 1
# Measuring keeps arrays with an entry for every label up to the highest.
MOST_LABEL = 1_000_000


class ReviewLog:
    """The reviewers' record of one run's folder, or one independent `reading` of it."""

    def __init__(self, run: Path, reading: str = "") -> None:
        if reading and (not reading.isidentifier() or len(reading) > 40):
            raise ReviewRefused(
                f"{reading!r} cannot name a reading; use at most 40 letters, digits and _, and"
                " begin with a letter"
            )
        self.root = run / "readings" / reading if reading else run / "review"

    def history(self, well: str, field: int) -> list[LabelVersion]:
        """Versions of a field's labels that reviewers made, oldest first."""
        return [self._read(path)[0] for path in self._paths(well, field)]

    def head(self, well: str, field: int) -> int:
        """The newest version of a field's labels; 1 if it was never corrected."""
        paths = self._paths(well, field)
        return int(paths[-1].stem) if paths else ENGINE_VERSION

    def corrected(self) -> list[tuple[str, int]]:
        """Wells and fields with a reviewer's version, in order."""
        fields = {
            (p.parent.parent.name, int(p.parent.name)) for p in self.root.glob("labels/*/*/*.npz")
        }
        return sorted(fields)

    def corrected_frames(self, well: str, field: int, since: int = ENGINE_VERSION) -> list[int]:
        """Time points of a field that versions after `since` touched."""
        return sorted(
            {r.frame for v in self.history(well, field) if v.version > since for r in v.regions}
        )

    def frame_version(self, well: str, field: int, frame: int = 1) -> int:
        """The newest version that touched a time point of a field; 1 if none did."""
        touched = [
            v.version for v in self.history(well, field) if any(r.frame == frame for r in v.regions)
        ]
        return touched[-1] if touched else ENGINE_VERSION

    def commit(
        self,
        well: str,
        field: int,
        parent: int,
        crops: Sequence[Crop],
        author: str,
        reason: str,
        edit: str = "",
        undoes: int | None = None,
    ) -> LabelVersion:
        """Write the next version of a field's labels.

        An `edit` that is written already is returned as it was. Raises ReviewConflict unless
        `parent` is the newest version, ReviewRefused without crops or for unknown compartments.
        """
        unknown = [c.compartment for c in crops if c.compartment not in COMPARTMENTS]
        if unknown or not crops:
            raise ReviewRefused(
                f"well {well}, field {field}: a correction needs labels of"
                f" {', '.join(COMPARTMENTS)}; this one has {', '.join(unknown) or 'none'}"
            )
        if any(c.labels.size and int(c.labels.max()) > MOST_LABEL for c in crops):
            raise ReviewRefused(
                f"well {well}, field {field}: a label is above {MOST_LABEL:,}; give new objects the"
                " next free number"
            )
        if any(c.labels.size and int(c.labels.min()) < 0 for c in crops):
            raise ReviewRefused(f"well {well}, field {field}: a label is negative")
        head = self.head(well, field)
        if parent != head:
            known = [v for v in self.history(well, field) if edit and v.edit == edit]
            if known:
                return known[0]
            raise ReviewConflict(
                f"well {well}, field {field}: version {parent} is not the newest any more, version"
                f" {head} is; look at it and correct again"
            )
        version = LabelVersion(
            well=well,
            field=field,
            version=head + 1,
            parent=parent,
            author=author,
            reason=reason,
            time=datetime.now(UTC),
            edit=edit,
            undoes=undoes,
            regions=[c.region for c in crops],
        )
        path = self.root / "labels" / well / str(field) / f"{version.version:04d}.npz"
        if not write_once(path, pack(version.model_dump(mode="json"), crops)):
            raise ReviewConflict(
                f"well {well}, field {field}: another reviewer has just written version"
                f" {version.version}; look at it and correct again"
            )
        return version

    def revert(
        self,
        base: Callable[[int], Mapping[str, Labels]],
        well: str,
        field: int,
        to: int,
        author: str,
        reason: str,
        undoes: int | None = None,
    ) -> LabelVersion:
        """A new version that holds what version `to` held.

        `base` gives the engine's labels of a time point.
        """
        touched: dict[tuple[str, int], list[Region]] = {}
        for region in (r for v in self.history(well, field) if v.version > to for r in v.regions):
            touched.setdefault((region.compartment, region.frame), []).append(region)
        if not touched:
            raise ReviewRefused(
                f"well {well}, field {field}: version {to} is the newest, so there is nothing to"
                " take back"
            )
        crops = []
        for frame in sorted({frame for _, frame in touched}):
            wanted = self.labels(base(frame), well, field, to, frame)
            for (name, of), regions in sorted(touched.items()):
                if of == frame:
                    y, x = min(r.y for r in regions), min(r.x for r in regions)
                    bottom, right = (
                        max(r.y + r.height for r in regions),
                        max(r.x + r.width for r in regions),
                    )
                    crops.append(Crop(name, y, x, wanted[name][y:bottom, x:right], frame))
        return self.commit(
            well, field, self.head(well, field), crops, author, reason, undoes=undoes
        )

    def labels(
        self,
        base: Mapping[str, Labels],
        well: str,
        field: int,
        version: int | None = None,
        frame: int = 1,
    ) -> dict[str, Labels]:
        """A field's labels at a version (the newest if not given). Raises StoreError.

        They are the engine's with every correction up to that version, neurites as a mask outside
        somas. A compartment that was not corrected is the engine's own array: copy it before
        writing to it.
        """
        wanted = self.head(well, field) if version is None else version
        if wanted == ENGINE_VERSION:
            return dict(base)
        paths = self._paths(well, field)
        if wanted not in {int(p.stem) for p in paths}:
            raise StoreError(f"well {well}, field {field} has no label version {wanted}")
        crops = [c for p in paths if int(p.stem) <= wanted for c in self._read(p)[1]]
        labels = with_crops(base, crops, frame)
        touched = {c.compartment for c in crops if c.frame == frame}
        return with_neurite_mask(labels) if touched & {NEURITES, "somas"} else labels

    def judge(self, verdict: Verdict) -> None:
        """Write a verdict; a later one on the same field, well or track stands.

        The same verdict, sent again, is written once.
        """
        if self.standing().get((verdict.well, verdict.field, verdict.track)) == verdict:
            return
        while True:
            path = (
                self.root
                / "verdicts"
                / f"{len(list(self.root.glob('verdicts/*.json'))) + 1:06d}.json"
            )
            if write_once(path, verdict.model_dump_json(indent=1).encode()):
                return

    def verdicts(self) -> list[Verdict]:
        """All verdicts, oldest first."""
        return [
            _verdict(p, p.stat().st_mtime_ns) for p in sorted(self.root.glob("verdicts/*.json"))
        ]

    def standing(self) -> dict[tuple[str, int | None, int | None], Verdict]:
        """(well, field, track) ► the verdict that stands; None is all fields, or no track."""
        return latest(self.verdicts())

    def revision(self) -> int:
        """1 before any review, one more for every version and verdict.

        Corrected tables carry it as label_version.
        """
        return (
            ENGINE_VERSION
            + sum(1 for _ in self.root.glob("labels/*/*/*.npz"))
            + sum(1 for _ in self.root.glob("verdicts/*.json"))
        )

    def _paths(self, well: str, field: int) -> list[Path]:
        return sorted((self.root / "labels" / well / str(field)).glob("*.npz"))

    def _read(self, path: Path) -> tuple[LabelVersion, list[Crop]]:
        try:
            meta, crops = unpack(
                path.read_bytes(), lambda meta: LabelVersion.model_validate(meta).regions
            )
            return LabelVersion.model_validate(meta), crops
        except ValueError as error:
            raise StoreError(f"{path} is damaged: {error}") from error


@lru_cache(maxsize=20_000)
def _verdict(path: Path, written_ns: int) -> Verdict:
    """A verdict's file, read once: it never changes, and every step asks for all of them."""
    del written_ns  # part of the key: another run may come to lie at the same place
    return Verdict.model_validate_json(path.read_bytes())


def not_undone(history: Sequence[LabelVersion]) -> LabelVersion | None:
    """The newest version that is not taken back and takes none back itself, if there is one."""
    undone = {v.undoes for v in history}
    return next(
        (v for v in reversed(history) if v.undoes is None and v.version not in undone), None
    )


def latest(verdicts: Iterable[Verdict]) -> dict[tuple[str, int | None, int | None], Verdict]:
    """(well, field, track) ► the last verdict on it."""
    return {(v.well, v.field, v.track): v for v in verdicts}


def check_cells(labels: Mapping[str, NDArray[np.integer[Any]]], where: str) -> None:
    """Raise ReviewRefused where a soma has no nucleus of its number: its cell is not known."""
    import numpy as np

    if "nuclei" not in labels or "somas" not in labels:
        return
    somas, nuclei = labels["somas"], labels["nuclei"]
    known = np.zeros(1 + max(int(somas.max(initial=0)), int(nuclei.max(initial=0))), bool)
    known[nuclei] = True
    inside = somas[somas > 0]
    alone = np.unique(inside[~known[inside]])
    if len(alone):
        numbers = ", ".join(map(str, alone[:5])) + (" …" if len(alone) > 5 else "")
        raise ReviewRefused(
            f"{where}: soma {numbers} has no nucleus; a cell's nucleus and soma have the same"
            " number, so paint both with it"
        )


def verdict_words(verdict: Verdict) -> str:
    """A rejection as the tables give it."""
    return f"rejected by {verdict.author}: {verdict.reason}"
