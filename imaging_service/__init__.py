"""The service: bytes, rows, processes and HTTP around the science packages."""

__version__ = "0.2.0"
