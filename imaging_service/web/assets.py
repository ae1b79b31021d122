"""Files that pages load: styles, scripts, and scripts of others with licence and digest."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
# For a report, one file with its scripts inside: they may run, and reach nothing of the service.
REPORT_POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'"
    " 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
)
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript"}


@lru_cache
def assets() -> dict[str, Path]:
    """Name ► file of everything that may be sent; licences and lists are not."""
    return {
        path.relative_to(STATIC).as_posix(): path
        for path in sorted(STATIC.rglob("*"))
        if path.suffix in MEDIA_TYPES
    }


@lru_cache
def looks() -> str:
    """Digest of all that decides how pages look: templates, styles, and the code that draws.

    A service that was mended within one version must not tell browsers to keep the old page.
    """
    digest = hashlib.sha256()
    for path in sorted(STATIC.parent.rglob("*")):
        if path.suffix in {".html", ".css", ".js", ".py"}:
            digest.update(path.read_bytes())
    return digest.hexdigest()


@lru_cache
def asset(name: str) -> str:
    """Address of a file, with its digest: a browser keeps it until it changes.

    Raises KeyError where there is no such file, so that a template with a wrong name fails.
    """
    digest = hashlib.sha256(assets()[name].read_bytes()).hexdigest()
    return f"/assets/{name}?v={digest[:12]}"
