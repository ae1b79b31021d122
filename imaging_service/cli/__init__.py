"""The command line, one module per group of commands."""

from imaging_service.cli.main import main

__all__ = ["main"]
