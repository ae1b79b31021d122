"""Write a protocol as TOML: keys at their defaults are left out, and all others can be read."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from imaging_service.protocol import AssayProtocol


def protocol_toml(protocol: AssayProtocol) -> str:
    """TOML text that `load_protocol` reads as an equal protocol."""
    plain = protocol.model_dump(mode="json", exclude_none=True)
    top = [f"{k} = {_value(plain[k])}" for k in ("name", "notes") if plain.get(k)]
    lines = ["\n".join(top), _section("channels", plain["channels"])]
    for name in AssayProtocol.model_fields:
        part = getattr(protocol, name)
        if isinstance(part, BaseModel) or is_dataclass(part):
            lines.append(_section(name, _changed(part, plain[name])))
    return "\n".join(line for line in lines if line)


def _changed(part: Any, plain: dict[str, Any]) -> dict[str, Any]:
    """The keys of a section that are not at their defaults."""
    if isinstance(part, BaseModel):
        defaults = {n: f.default for n, f in type(part).model_fields.items()}
    else:
        defaults = {f.name: f.default for f in fields(part)}
    return {
        n: plain[n] for n, default in defaults.items() if n in plain and getattr(part, n) != default
    }


def _section(name: str, values: dict[str, Any]) -> str:
    if not values:
        return ""
    tables = {k: v for k, v in values.items() if isinstance(v, dict)}
    text = f"\n[{name}]\n" + "".join(
        f"{k} = {_value(v)}\n" for k, v in values.items() if k not in tables
    )
    return text + "".join(_section(f"{name}.{k}", v).rstrip("\n") + "\n" for k, v in tables.items())


def _value(value: Any) -> str:
    """TOML's numbers, booleans, strings and arrays are written as JSON's are."""
    return json.dumps(value, ensure_ascii=False)
