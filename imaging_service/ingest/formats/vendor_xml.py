"""XML that an instrument wrote: read element by element, with a limit, entities refused.

Whatever is wrong with it is one sentence that names the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError  # the types only; defusedxml parses

from imaging_service.errors import ScanError
from imaging_service.ingest.plan import Limits


@contextmanager
def elements(path: Path, limits: Limits) -> Iterator[Iterator[tuple[str, Element]]]:
    """(local name, element) in the order in which elements end; namespaces are dropped.

    The index of a full plate has hundreds of megabytes: clear what was used. The file is closed
    where the block ends, also by an error of what reads it. Raises ScanError.
    """
    size = path.stat().st_size
    if size > limits.xml_bytes:
        raise ScanError(f"{path} has {size:,} bytes, more than the limit of {limits.xml_bytes:,}")
    with path.open("rb") as stream:
        yield _parsed(stream, path)


def _parsed(stream: BinaryIO, path: Path) -> Iterator[tuple[str, Element]]:
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    try:
        for _, element in iterparse(stream, events=("end",), forbid_dtd=True):
            yield local(element.tag), element
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        # ValueError and LookupError: invalid bytes, and unknown names of encodings.
        raise ScanError(f"{path} is not readable XML: {error}") from error


def local(name: str) -> str:
    """A tag or an attribute's name without its namespace."""
    return name.rsplit("}", 1)[-1]


def attributes(element: Element) -> dict[str, str]:
    """Attributes by their local names."""
    return {local(key): value for key, value in element.attrib.items()}


def children(element: Element) -> dict[str, str]:
    """Texts of the children by their local names; the first of each name."""
    texts: dict[str, str] = {}
    for child in element:
        texts.setdefault(local(child.tag), (child.text or "").strip())
    return texts
