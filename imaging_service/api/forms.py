"""What a page's form sends: URL-encoded fields, without a library for uploads."""

from __future__ import annotations

from typing import Annotated, TypeVar
from urllib.parse import parse_qs

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from imaging_service.errors import AccessRefused, TooLarge
from imaging_service.schemas import is_text

Message = TypeVar("Message", bound=BaseModel)
_MOST_BYTES, _MOST_FIELDS = 200_000, 2000


class SentForm:
    """The fields of a form by name. A character that cannot be stored is left out."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def one(self, name: str) -> str:
        """The last value of a field without spaces around it; "" where it was not sent."""
        return (self._fields.get(name) or [""])[-1].strip()

    def all(self, name: str) -> list[str]:
        """Every value of a field, such as of the boxes that are ticked."""
        return self._fields.get(name, [])


def read_form(body: bytes) -> SentForm:
    """The fields of a form's body. Raises TooLarge for more than a form of the pages can send.

    Examples
    --------
    >>> form = read_form(b"name=ALS+2026&run=a&run=b")
    >>> form.one("name"), form.all("run"), form.one("lab")
    ('ALS 2026', ['a', 'b'], '')
    """
    if len(body) > _MOST_BYTES:
        raise TooLarge(f"the form has {len(body):,} bytes; at most {_MOST_BYTES:,} are read")
    try:
        fields = parse_qs(
            body.decode("ascii", errors="replace"),
            errors="replace",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as error:
        raise TooLarge(f"the form has more than {_MOST_FIELDS:,} fields") from error
    return SentForm({name: [v for v in values if is_text(v)] for name, values in fields.items()})


async def sent_form(request: Request) -> SentForm:
    """The form of a request."""
    return read_form(await request.body())


def filled(message: type[Message], **values: object) -> Message:
    """A message to the API, of a form's values.

    Raises AccessRefused with the name of the field that cannot be.
    """
    try:
        return message.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(
            f"{e['loc'][0]}: {e['msg']}" if e["loc"] else e["msg"] for e in error.errors()
        )
        raise AccessRefused(f"the form cannot be used: {faults}") from error


FormDep = Annotated[SentForm, Depends(sent_form)]
