"""TOML that people write: a fault is told with the line it is in."""

from __future__ import annotations

import re
import tomllib
from typing import Any


def parse_toml(text: str) -> dict[str, Any]:
    """The content of a TOML text, with or without a byte order mark.

    Raises tomllib.TOMLDecodeError with the line that cannot be read.

    Examples
    --------
    >>> parse_toml('name = "two stains"')
    {'name': 'two stains'}
    >>> parse_toml("name = assay")
    Traceback (most recent call last):
        ...
    tomllib.TOMLDecodeError: Invalid value (at line 1, column 8): name = assay; a text ...
    """
    # Editors of Windows begin a file with the mark, which TOML does not know.
    text = text.removeprefix("\ufeff")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        if place is None:
            raise
        line = text.splitlines()[int(place[1]) - 1].strip()
        raise tomllib.TOMLDecodeError(f"{error}: {line[:80]}{_advice(line)}") from error


def _advice(line: str) -> str:
    """What to do about a value that is text without quotation marks; empty for other faults."""
    _, equals, value = line.partition("=")
    bare = re.fullmatch(r"\s*[A-Za-z_][\w ./-]*", value.split("#")[0])
    return "; a text stands in quotation marks" if equals and bare else ""
