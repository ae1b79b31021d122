"""What reviewers said of a run: versions of labels and verdicts, each a file that is written once and never changed.

    RUN/review/labels/B03/1/0002.npz     field 1 of well B03 as it was corrected: the changed crops, parent, author, time, reason
    RUN/review/verdicts/000001.json      accepted or rejected: a field, a well or a track, with the reason

Version 1 of a field's labels is the engine's. A correction names the version that it was made on; where that is not the newest any more,
it is refused (somebody else was faster), and nothing is lost: the caller looks again. Going back is a new version as well.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imaging_service.errors import ReviewConflict, StoreError
from imaging_service.schemas import LabelVersion, Verdict
from imaging_service.scratch import written

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Labels = NDArray[np.int32]

ENGINE_VERSION = 1
COMPARTMENTS = ("nuclei", "somas", "neurites", "puncta", "granules")


@dataclass(frozen=True)
class Crop:
    """Labels of one compartment in a rectangle of a field, from (y, x)."""

    y: int
    x: int
    labels: Labels


class ReviewLog:
    """The reviewers' record of one run's folder."""

    def __init__(self, run: Path) -> None:
        self.root = run / "review"

    def history(self, well: str, field: int) -> list[LabelVersion]:
        """Versions of a field's labels that reviewers made, oldest first."""
        return [self._read(path)[0] for path in self._paths(well, field)]

    def head(self, well: str, field: int) -> int:
        """The newest version of a field's labels; 1 if nobody corrected it."""
        paths = self._paths(well, field)
        return int(paths[-1].stem) if paths else ENGINE_VERSION

    def corrected(self) -> list[tuple[str, int]]:
        """Fields with a version of a reviewer, in order."""
        found = {(p.parent.parent.name, int(p.parent.name)) for p in self.root.glob("labels/*/*/*.npz")}
        return sorted(found)

    def commit(self, well: str, field: int, parent: int, crops: Mapping[str, Crop], author: str, reason: str) -> LabelVersion:
        """Write the next version of a field. Raises ReviewConflict unless `parent` is the newest, ValueError for empty or strange crops."""
        import numpy as np

        strange = [name for name in crops if name not in COMPARTMENTS]
        if strange or not crops:
            raise ValueError(f"a correction needs labels of {', '.join(COMPARTMENTS)}; got {', '.join(strange) or 'none'}")
        head = self.head(well, field)
        if parent != head:
            raise ReviewConflict(
                f"well {well}, field {field}: version {parent} is not the newest any more, {head} is; look at it and correct again"
            )
        region = {name: (c.y, c.x, *c.labels.shape) for name, c in crops.items()}
        version = LabelVersion(
            well=well, field=field, version=head + 1, parent=parent, author=author, reason=reason, time=datetime.now(UTC), region=region
        )
        arrays: dict[str, Any] = {name: np.asarray(c.labels, np.int32) for name, c in crops.items()}
        arrays["meta"] = np.frombuffer(version.model_dump_json().encode(), np.uint8)
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays)
        path = self.root / "labels" / well / str(field) / f"{version.version:04d}.npz"
        if not _write_once(path, stream.getvalue()):
            raise ReviewConflict(
                f"well {well}, field {field}: somebody else wrote version {version.version} just now; look at it and correct again"
            )
        return version

    def revert(self, base: Mapping[str, Labels], well: str, field: int, to: int, author: str, reason: str) -> LabelVersion:
        """A new version that holds what version `to` held; `base` are the engine's labels."""
        wanted = self.labels(base, well, field, to)
        return self.commit(well, field, self.head(well, field), {n: Crop(0, 0, labels) for n, labels in wanted.items()}, author, reason)

    def labels(self, base: Mapping[str, Labels], well: str, field: int, version: int | None = None) -> dict[str, Labels]:
        """A field's labels at a version (the newest if not given), from the engine's and every correction since. Raises StoreError."""
        wanted = self.head(well, field) if version is None else version
        found = {name: labels.copy() for name, labels in base.items()}
        if wanted == ENGINE_VERSION:
            return found
        paths = self._paths(well, field)
        if wanted not in {int(p.stem) for p in paths}:
            raise StoreError(f"well {well}, field {field} has no label version {wanted}")
        for path in paths:
            if int(path.stem) > wanted:
                break
            for name, crop in self._read(path)[1].items():
                height, width = crop.labels.shape
                found[name][crop.y : crop.y + height, crop.x : crop.x + width] = crop.labels
        return found

    def judge(self, verdict: Verdict) -> None:
        """Write a verdict; a later one on the same field, well or track stands."""
        while True:
            path = self.root / "verdicts" / f"{len(list(self.root.glob('verdicts/*.json'))) + 1:06d}.json"
            if _write_once(path, verdict.model_dump_json(indent=1).encode()):
                return

    def verdicts(self) -> list[Verdict]:
        """All verdicts, oldest first."""
        return [Verdict.model_validate_json(p.read_bytes()) for p in sorted(self.root.glob("verdicts/*.json"))]

    def standing(self) -> dict[tuple[str, int | None, int | None], Verdict]:
        """(well, field, track) ► the verdict that stands; None stands for all fields, or for no track."""
        return {(v.well, v.field, v.track): v for v in self.verdicts()}

    def revision(self) -> int:
        """1 where nobody reviewed anything, one more for every version and verdict: what corrected tables carry as label_version."""
        return ENGINE_VERSION + sum(1 for _ in self.root.glob("labels/*/*/*.npz")) + sum(1 for _ in self.root.glob("verdicts/*.json"))

    def _paths(self, well: str, field: int) -> list[Path]:
        return sorted((self.root / "labels" / well / str(field)).glob("*.npz"))

    def _read(self, path: Path) -> tuple[LabelVersion, dict[str, Crop]]:
        import zipfile

        import numpy as np

        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                version = LabelVersion.model_validate_json(stored["meta"].tobytes())
                crops = {n: Crop(version.region[n][0], version.region[n][1], stored[n]) for n in version.region}
        except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
            raise StoreError(f"{path} is damaged: {error}") from error
        return version, crops


def _write_once(path: Path, content: bytes) -> bool:
    """Write a file whole; False where one of that name is there already. A link, unlike a rename, never replaces."""
    with written(path, content) as scratch:
        try:
            os.link(scratch, path)
        except FileExistsError:
            return False
    return True


def verdict_words(verdict: Verdict) -> str:
    """A rejection as the tables say it."""
    return f"rejected by {verdict.author}: {verdict.reason}"
