"""Commands as the CLI reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from imaging_service.cli.main import app


def parsed(arguments: Sequence[str]) -> dict[str, Any]:
    """The parameters of a command, which is not run. Raises click's UsageError."""
    command = typer.main.get_command(app)
    name = ""
    while commands := getattr(command, "commands", None):
        name, *arguments = arguments
        command = commands[name]
    return command.make_context(name, list(arguments)).params
