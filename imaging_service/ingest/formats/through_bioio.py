"""Every other format, through `bioio` and its plug-ins (`bioio-czi`, `bioio-nd2`, …).

`bioio` reads scenes of files and knows nothing of plates, so wells are read from names: of the
scene, or else of the file. Which name means a well is guessed only where one word can; a protocol's
`acquisition.file_pattern` is matched to FILE/SCENE. What an instrument announced is not known here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging_service.errors import ImageError, ScanError, damaged
from imaging_service.incoming.file_pattern import FilePattern
from imaging_service.ingest.images.scan_files import ScanFiles, scan_files
from imaging_service.ingest.names import image_named
from imaging_service.ingest.pixel_size import SizeStatement, Trust, decide
from imaging_service.ingest.plan import ImageRef, Limits, PlatePlan
from imaging_service.protocol import Acquisition
from plate_maps import Well

# Formats that are tried without being asked for; `acquisition.reader = "bioio"` tries every file.
KNOWN = ("*.czi", "*.nd2", "*.lif", "*.oir", "*.vsi", "*.ims", "*.sldy", "*.dv")
_WELL = re.compile(r"(?<![A-Za-z0-9])([A-Z]{1,2})([0-9]{1,2})(?![A-Za-z0-9])", re.ASCII)
# Letters that instruments count positions, sites, time points, planes, waves, channels, fields by.
_COUNTERS = frozenset("PSTZWCF")


class BioioReader:
    """Reader "bioio"."""

    name = "bioio"

    def sniff(self, root: Path) -> float:
        """0.3 where a file has the ending of a format that no other reader knows."""
        return 0.3 if scan_files(root, Limits()).named(*KNOWN) else 0.0

    def plan(self, root: Path, limits: Limits, acquisition: Acquisition) -> PlatePlan:
        """Open every file for its scenes, and find their wells by name."""
        files = scan_files(root, limits)
        paths = files.named(*KNOWN) or files.paths
        if not paths:
            raise ScanError(f"{root} has no file; give the folder of the plate's images")
        scenes = [scene for path in paths for scene in _scenes(files, path, limits)]
        placed = _placed(scenes, acquisition.file_pattern, root)
        channels = _channels(scenes, root)
        images = [
            ImageRef(well, field, t + 1, channels[c], z + 1, s.path, (s.number, t, c, z))
            for s, (well, field) in zip(scenes, placed, strict=True)
            for t, c, z in np.ndindex(s.sizes)
        ]
        if len(images) > limits.images:
            raise ScanError(f"{root} has more than {limits.images:,} planes")
        size = decide(
            SizeStatement(*s.pixel_um, "bioio", s.path, Trust.FILE, well)
            for s, (well, _) in zip(scenes, placed, strict=True)
            if s.pixel_um is not None
        )
        return PlatePlan(
            self.name,
            root.name,
            root,
            channels,
            size.um,
            None,
            tuple(sorted(images)),
            pixel_size_source=size.source,
            findings=(*size.findings, *files.junk_finding()),
        )

    def read(self, plan: PlatePlan, image: ImageRef, limits: Limits) -> NDArray[np.generic]:
        """One plane of one scene."""
        path = plan.root / image.path
        if not path.is_file():
            raise ImageError(f"{path.name}: the file is missing")
        scene, t, c, z = image.index
        with damaged(ImageError, path.name), _opened(path, ImageError) as opened:
            opened.set_scene(scene)
            plane = np.asarray(opened.get_image_dask_data("YX", T=t, C=c, Z=z).compute())
        if plane.ndim != 2:
            raise ImageError(f"{path.name}: a plane of shape {plane.shape} is not one grey image")
        return plane

    def exposed_s(self, plan: PlatePlan, image: ImageRef) -> float | None:
        """None: `bioio` has no common place for the time of an exposure."""
        return None

    def local_clock(self, plan: PlatePlan, image: ImageRef) -> bool:
        """False: there is no time of an exposure."""
        return False


@dataclass(frozen=True)
class _Scene:
    """One scene of a file; `sizes` are those of time, channel and z, `pixel_um` is (x, y)."""

    path: str
    number: int
    name: str
    sizes: tuple[int, int, int]
    channels: tuple[str, ...]
    pixel_um: tuple[float, float] | None


@contextmanager
def _opened(path: Path, error: type[ImageError] | type[ScanError]) -> Iterator[Any]:
    """The file as a BioImage. Raises `error` saying which package is missing."""
    try:
        bioio = import_module("bioio")
        base = import_module("bioio_base.exceptions")
    except ModuleNotFoundError as absent:
        raise error(
            f"{path.name}: this format is read through bioio, which is not installed:"
            " pip install 'motor-neuron-imaging-service[bioio]' and the format's plug-in, such as"
            " bioio-czi or bioio-nd2"
        ) from absent
    try:
        yield bioio.BioImage(path)
    except base.UnsupportedFileFormatError as unknown:
        raise error(
            f"{path.name}: no plug-in of bioio that is installed reads this file; install the"
            " format's own, such as bioio-czi or bioio-nd2, or take the file out of the scan"
        ) from unknown


def _scenes(files: ScanFiles, path: str, limits: Limits) -> Iterator[_Scene]:
    with (
        damaged(ScanError, str(files.root / path)),
        _opened(files.root / path, ScanError) as opened,
    ):
        for number, name in enumerate(opened.scenes):
            opened.set_scene(number)
            dims = opened.dims
            pixels = int(dims.Y * dims.X)
            if pixels > limits.image_pixels:
                raise ScanError(
                    f"{files.root / path}: {dims.Y} × {dims.X} pixels are more than the limit of"
                    f" {limits.image_pixels:,} per plane"
                )
            if "S" in dims.order:
                raise ScanError(f"{files.root / path}, scene {name!r}: colours are not read")
            size = opened.physical_pixel_sizes
            yield _Scene(
                path,
                number,
                str(name),
                (dims.T, dims.C, dims.Z),
                tuple(str(c) for c in opened.channel_names or range(1, dims.C + 1)),
                None if not size.X or not size.Y else (float(size.X), float(size.Y)),
            )


def _channels(scenes: list[_Scene], root: Path) -> tuple[str, ...]:
    """Names of the channels, which all scenes have in common; numbers where names repeat."""
    orders = list(dict.fromkeys(s.channels for s in scenes))
    if len(orders) != 1:
        raise ScanError(
            f"{root}: its scenes have {len(orders)} different lists of channels, such as"
            f" {'; '.join(', '.join(order) for order in orders[:2]) or 'none'}"
        )
    names = orders[0]
    return names if len(set(names)) == len(names) else tuple(str(n + 1) for n in range(len(names)))


def _placed(scenes: list[_Scene], pattern: str, root: Path) -> list[tuple[Well, int]]:
    """(well, field) of each scene. Raises ScanError where names do not say it beyond doubt."""
    if "(" in pattern:
        return _by_pattern(scenes, FilePattern(pattern), root)
    if pattern != "auto":
        raise ScanError(
            f"acquisition.file_pattern = {pattern!r} is of names of TIFFs; give a regular"
            " expression that is matched to FILE/SCENE, with the group well"
        )
    words = [_words(scene, root) for scene in scenes]
    letters = {letter for letter, _ in words}
    padded = any(number.startswith("0") for _, number in words)
    if len(words) > 1 and len(letters) == 1 and letters <= _COUNTERS and not padded:
        raise ScanError(
            f"{root}: {''.join(words[0])} and the like may count positions as well as wells; say"
            " which in acquisition.file_pattern, which is matched to FILE/SCENE"
        )
    counted: dict[Well, int] = defaultdict(int)
    placed = []
    for scene, (letter, number) in zip(scenes, words, strict=True):
        try:
            well = Well.parse(letter + number)
        except ValueError as error:
            raise ScanError(f"{root / scene.path}, scene {scene.name!r}: {error}") from error
        counted[well] += 1
        placed.append((well, counted[well]))
    return placed


def _words(scene: _Scene, root: Path) -> tuple[str, str]:
    """Letters and digits of the only word that can be a well: of the scene, else of the file."""
    of_scene = _WELL.findall(scene.name)
    of_file = _WELL.findall(scene.path.rpartition("/")[2].rpartition(".")[0])
    wells = {(letter, number.lstrip("0")) for letter, number in (*of_scene, *of_file)}
    if len(wells) != 1:
        named = ", ".join(sorted(a + b for a, b in wells)) or "none"
        raise ScanError(
            f"{root / scene.path}, scene {scene.name!r}: words that can be a well: {named}; say"
            " which in acquisition.file_pattern, which is matched to FILE/SCENE"
        )
    word: tuple[str, str] = (of_scene or of_file)[0]
    return word


def _by_pattern(scenes: list[_Scene], pattern: FilePattern, root: Path) -> list[tuple[Well, int]]:
    counted: dict[Well, int] = defaultdict(int)
    placed: list[tuple[Well, int]] = []
    for scene in scenes:
        where = f"{scene.path}/{scene.name}"
        groups: Mapping[str, str | None] | None = pattern.match(where)
        if groups is None:
            raise ScanError(f"{root}: {where!r} does not fit acquisition.file_pattern")
        try:
            image = image_named(groups, scene.path)
        except ValueError as error:
            raise ScanError(f"{root}: {where!r}: {error}") from error
        counted[image.well] += 1
        field = image.field if groups.get("field") else counted[image.well]
        if (image.well, field) in placed:
            raise ScanError(
                f"{root}: {where!r} is a second image of well {image.well}, field {field}"
            )
        placed.append((image.well, field))
    return placed
