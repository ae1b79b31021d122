"""Read a plate as a request sends it: nothing that it names is opened before the gate."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imaging_service.errors import PlateMapRefused
from imaging_service.incoming.gate import allowed, checkpoint_of
from imaging_service.ingest import PlatePlan
from imaging_service.ingest.plan import Limits
from imaging_service.jobs.plan import identify, read_inputs
from imaging_service.jobs.records import RunRecord, load
from imaging_service.protocol import parse_protocol
from imaging_service.schemas import NewPlateMap, Submission

_LONGEST_NAME = 200


def read_submission(submission: Submission, roots: tuple[Path, ...]) -> tuple[RunRecord, PlatePlan]:
    """The run that a submission asks for, identified.

    Raises Forbidden for a path outside the roots, and the errors of `read_inputs` and `identify`.
    """
    scan = allowed(submission.scan, roots)
    protocol = parse_protocol(
        submission.protocol, str(submission.protocol.get("name", "of the submission"))[:100]
    )
    checkpoint = checkpoint_of(submission.engine or protocol.segmentation.engine)
    if checkpoint is not None:
        allowed(checkpoint, roots)
    with _sheet(submission.plate_map_name, submission.plate_map_base64) as plate_map:
        inputs = read_inputs(
            scan, plate_map, protocol, submission.engine, submission.device, submission.plate
        )
    return identify(inputs, Limits(roots=roots))


def read_new_map(
    record: Path, given: NewPlateMap, roots: tuple[Path, ...]
) -> tuple[RunRecord, PlatePlan]:
    """The run of a record with another plate map, identified: all else stays.

    Wells that were measured by the same rules are taken over, so only what follows from the map is
    computed anew. Raises as `read_submission`.
    """
    before = load(RunRecord, record).inputs
    scan = allowed(before.scan, roots)
    with _sheet(given.plate_map_name, given.plate_map_base64) as plate_map:
        inputs = read_inputs(
            scan, plate_map, before.protocol, before.engine, before.device, given.plate
        )
    return identify(inputs, Limits(roots=roots))


@contextmanager
def _sheet(name: str, sent: str) -> Iterator[Path]:
    """A plate map as a file under its own name: the ending says how it is read."""
    try:
        content = base64.b64decode(sent, validate=True)
    except ValueError as error:
        raise PlateMapRefused(f"plate_map_base64 is not base64: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        plate_map = Path(folder) / map_name(name)
        plate_map.write_bytes(content)
        yield plate_map


def map_name(sent: str) -> str:
    """The last part of a plate map's name, under which its bytes are read.

    The name may come from another system, or be hostile.
    """
    name = sent.replace("\\", "/").rpartition("/")[2].strip()
    if name in ("", ".", "..") or len(name.encode(errors="replace")) > _LONGEST_NAME:
        raise PlateMapRefused(
            f"plate_map_name {sent[:60]!r} is not the name of a file; give one such as"
            f" plate_map.csv, of at most {_LONGEST_NAME} letters"
        )
    if not name.isprintable():
        raise PlateMapRefused(
            f"plate_map_name {sent[:60]!r} holds a character that cannot be written; give a name"
            " such as plate_map.csv"
        )
    return name
