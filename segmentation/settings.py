"""Define a number that a laboratory may choose: once, with default, bound and meaning.

Settings are frozen dataclasses beside the functions that take them. The protocol's sections inherit
from them, so a key of the protocol is the field of that name. Values are checked wherever settings
are made: in a protocol and in a notebook.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.fields import FieldInfo

# A misspelt key that is ignored would silently analyse the plate with a default.
STRICT = ConfigDict(extra="forbid")
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


def meaning(text: str) -> FieldInfo:
    """What a setting means, as the documentation prints it.

    Its unit is in its name (`_um`, `_um2`).
    """
    return FieldInfo(description=text)
