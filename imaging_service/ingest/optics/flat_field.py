"""Harmony's flat-field profiles: how the light falls off over the field, per channel.

The text is neither JSON nor Python: keys without quotes, texts that may hold spaces, NaN and INF.
It is parsed character by character and never evaluated. A profile is a polynomial in x (columns)
and y (rows), each shifted by `Origin` and scaled by `Scale`: row n of the coefficients holds those
of xⁿ, xⁿ⁻¹y … yⁿ. That x comes first was read off the images of an Operetta, whose background
follows the profile so and not the other way.
"""

from __future__ import annotations

import math
import re
from typing import Any

from segmentation.filters.light_profile import LightProfile

_MOST_CHARACTERS = 100_000
_MOST_DEPTH = 20
_WORD = re.compile(r'"([^"]*)"|([^,:{}\[\]"]*)')
_MOST_DEGREE = 12


def read_flat_field(text: str) -> LightProfile:
    """The background's profile of a `FlatfieldProfile` element.

    Raises ValueError saying what is not as it should be.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ValueError("the flat-field profile is too long")
    value, end = _value(text.strip(), 0, 0)
    if end != len(text.strip()) or not isinstance(value, dict):
        raise ValueError("the flat-field profile is not one {…}")
    background = value.get("Background")
    profile = background.get("Profile") if isinstance(background, dict) else None
    if not isinstance(profile, dict):
        raise ValueError("the flat-field profile has no Background with a Profile")
    if profile.get("Type") == "Identity":
        return LightProfile()
    if profile.get("Type") != "Polynomial":
        raise ValueError(f"a flat-field profile of type {profile.get('Type')!r:.40} is not known")
    rows = profile.get("Coefficients")
    if not (
        isinstance(rows, list)
        and 0 < len(rows) <= _MOST_DEGREE
        and all(isinstance(r, list) and len(r) == n + 1 for n, r in enumerate(rows))
    ):
        raise ValueError("the coefficients of a flat-field profile are not rows of 1, 2, 3 …")
    return LightProfile(
        tuple(tuple(_number(v) for v in row) for row in rows),
        _pair(profile.get("Origin")),
        _pair(profile.get("Scale")),
    )


def _pair(value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("Origin and Scale of a flat-field profile are two numbers each")
    return _number(value[0]), _number(value[1])


def _number(text: Any) -> float:
    value = float(text) if isinstance(text, str) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text!r:.40} in a flat-field profile is not a finite number")
    return value


def _value(text: str, start: int, depth: int) -> tuple[Any, int]:
    """(value, place after it): a dict, a list, or a text."""
    if depth > _MOST_DEPTH:
        raise ValueError("the flat-field profile is nested too deep")
    place = _skip(text, start)
    if text[place : place + 1] == "{":
        return _members(text, place, depth)
    if text[place : place + 1] == "[":
        return _items(text, place, depth)
    word = _WORD.match(text, place)
    if word is None:
        return "", place
    return (word[1] if word[1] is not None else word[2].strip()), word.end()


def _items(text: str, place: int, depth: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    place += 1
    while True:
        value, place = _value(text, place, depth + 1)
        items.append(value)
        place = _skip(text, place)
        if text[place : place + 1] == "]":
            return items, place + 1
        place = _past(text, place, ",")


def _members(text: str, place: int, depth: int) -> tuple[dict[str, Any], int]:
    members: dict[str, Any] = {}
    place += 1
    while True:
        key, place = _value(text, place, depth + 1)
        place = _past(text, _skip(text, place), ":")
        value, place = _value(text, place, depth + 1)
        # A text may hold a colon, as in Acapella:2013.
        while text[place : place + 1] == ":" and isinstance(value, str):
            more, place = _value(text, place + 1, depth + 1)
            value = f"{value}:{more}"
        members[str(key)] = value
        place = _skip(text, place)
        if text[place : place + 1] == "}":
            return members, place + 1
        place = _past(text, place, ",")


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _past(text: str, place: int, sign: str) -> int:
    if text[place : place + 1] != sign:
        raise ValueError(f"the flat-field profile has no {sign!r} at character {place}")
    return place + 1
